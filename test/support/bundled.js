const { existsSync, mkdirSync, renameSync } = require('node:fs');
const { dirname, join } = require('node:path');

/**
 * What nearly every suite loads, and is a hundred files each: jest finds, reads and compiles every one of them anew in every
 * suite. As one file `zod` takes 27 ms of a processor there instead of 70, `yaml` 3 instead of 30. Kubernetes' client is
 * loaded by few, and is a thousand files.
 */
const PACKAGES = ['zod', 'yaml', '@kubernetes/client-node'];

/** The version of a package, whose own package.json may be no export. */
function versionOf(root, name) {
  return require(join(root, 'node_modules', name, 'package.json')).version;
}

/** `moduleNameMapper` of jest: each package as one file, made once for each of its versions. */
module.exports = (root) => {
  const mapped = {};
  for (const name of PACKAGES) {
    const file = join(
      root,
      'node_modules',
      '.cache',
      'switchyard-tests',
      `${name.replace('/', '-')}-${versionOf(root, name)}.js`,
    );
    if (!existsSync(file)) {
      mkdirSync(dirname(file), { recursive: true });
      const made = `${file}.${process.pid}`;
      require('esbuild').buildSync({
        entryPoints: [require.resolve(name, { paths: [root] })],
        outfile: made,
        bundle: true,
        platform: 'node',
        target: 'node22',
        // Most of Kubernetes' client is comments and spaces: 17 MB.
        minifyWhitespace: name === '@kubernetes/client-node',
        legalComments: 'none',
        logLevel: 'error',
      });
      renameSync(made, file);
    }
    mapped[`^${name}$`] = file;
  }
  return mapped;
};
