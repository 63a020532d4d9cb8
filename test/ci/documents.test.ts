import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/model';
import { PRODUCT_FOLDERS } from '../support/product';

// Comments name documents of other projects, too, as where something was read.
const isComment = (line: string): boolean => /^\s*(\*|\/\/|\/\*)/.test(line);

test('each document that a message sends people to is there', () => {
  const named = PRODUCT_FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') || file.endsWith('.groovy'))
      .flatMap((file) =>
        readFileSync(join(root, folder, file), 'utf8')
          .split('\n')
          .filter((line) => !isComment(line))
          .flatMap((line) => line.match(/\bdocs\/[\w/-]+\.md/g) ?? [])
          .map((document) => ({ file: `${folder}/${file}`, document })),
      ),
  );
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter(({ document }) => !existsSync(join(root, document)))).toEqual([]);
});
