import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { usersOfTurn } from '../../../catalog/containers';
import { parseCatalog } from '../../../catalog/load';
import { topologyBoxes } from '../../../components/boxes';
import type { Model } from '../../../components/model';
import { databaseHolder, type Holder, rotateBy } from '../../../operations/rotate';
import { begun, databasesOf, ended, purposesOf, refusedKey, selected } from '../../../operations/rotate/plan';
import type { SecretSettings } from '../../../stacks/rotation';
import { catalogTexts, modelOf, testModel } from '../../support/model';

const rotatable = (): Model => {
  const { 'cache.yaml': cache = '', ...others } = catalogTexts.services;
  const catalog = parseCatalog({
    ...catalogTexts,
    services: { ...others, 'cache.yaml': `${cache}rotate: { admit: [let-in], retire: [let-go] }\n` },
  });
  return testModel({ catalog, modules: catalog.modules });
};
const none: SecretSettings = { versions: {}, rotating: [] };

/** The test catalog with a cache that knows one password for each user. */
const ledgered = (model: Parameters<typeof testModel>[0] = {}, shop = ''): Model => {
  const { 'cache.yaml': cache = '' } = catalogTexts.services;
  const catalog = parseCatalog({
    services: {
      'cache.yaml': `${cache.replace('CACHE_HOST', 'CACHE_USER: "{user}", CACHE_HOST')}rotate:
  { alternates: CACHE_USER, check: [look], admit: [let-in], retire: [let-go] }
`,
    },
    modules: { 'shop.yaml': `${catalogTexts.modules['shop.yaml']}${shop}` },
  });
  return testModel({ catalog, modules: catalog.modules, ...model });
};
const atVersion = (version: number): Partial<Model> => ({
  settings: {
    ...testModel().settings,
    secrets: { versions: { 'service/shop/cache': version }, rotating: [] },
  },
});

describe('what is rotated', () => {
  test('all secrets that the topology derives, a module’s, one, or those below a path', () => {
    const all = purposesOf(testModel());
    expect(all).toEqual(
      expect.arrayContaining(['certificate/test', 'hook/shop', 'jenkins/admin', 'service/shop/cache']),
    );
    expect(selected(testModel(), {})).toEqual(all);
    expect(selected(testModel(), { module: 'shop' })).toEqual([
      'hook/shop',
      'part/shop',
      'registry/push-shop',
      'service/shop/cache',
    ]);
    expect(selected(testModel(), { purpose: 'service/shop' })).toEqual(['service/shop/cache']);
    expect(selected(testModel(), { purpose: 'jenkins/admin' })).toEqual(['jenkins/admin']);
  });

  test('nothing of that name is refused, and what there is is named', () => {
    expect(() => selected(testModel(), { module: 'shp' })).toThrow('no module "shp" in test');
    expect(() => selected(testModel(), { purpose: 'service/sho' })).toThrow(
      /no secret "service\/sho".*service\/shop\/cache/,
    );
  });

  test('a database whose service does not say how is left, with the reason; one without a password needs nothing', () => {
    expect(databasesOf(testModel(), ['service/shop/cache'])).toEqual({
      databases: [],
      refused: [
        {
          purpose: 'service/shop/cache',
          why: expect.stringContaining('catalog/services/cache.yaml has no "rotate"'),
        },
      ],
    });
    expect(databasesOf(rotatable(), ['service/shop/cache'])).toEqual({
      databases: [
        {
          purpose: 'service/shop/cache',
          place: { namespace: 'prod-shop', pod: 'cache-0', container: 'cache' },
          admit: ['let-in'],
          retire: ['let-go'],
        },
      ],
      refused: [],
    });
    expect(databasesOf(rotatable(), ['hook/shop'])).toEqual({ databases: [], refused: [] });
  });

  test('the key of a repository on a volume is left', () => {
    const clusters = 'ci: { context: one }, production: { context: one }';
    const onVolume = modelOf({ clusters, backup: 'repository: /backup, claim: { storage: 1Gi }' });
    expect(refusedKey(onVolume, ['backup/key'])).toEqual([
      { purpose: 'backup/key', why: expect.stringContaining('restic key') },
    ]);
    expect(refusedKey(onVolume, ['hook/shop'])).toEqual([]);
  });

  test('a secret gets the next version once, however often a rotation is begun before it ends', () => {
    const first = begun({ versions: { a: 4, b: 2 }, rotating: [] }, ['a', 'c']);
    expect(first).toEqual({ versions: { a: 5, b: 2, c: 2 }, rotating: ['a', 'c'] });
    expect(begun(first, ['a', 'c'])).toEqual(first);
    expect(begun(first, ['b'])).toEqual({ versions: { a: 5, b: 3, c: 2 }, rotating: ['a', 'b', 'c'] });
    expect(ended(first)).toEqual({ versions: first.versions, rotating: [] });
  });
});

describe('what every run leaves as it was applied', () => {
  const optionsOf = (model: Model, name: string) =>
    topologyBoxes(model)
      .flatMap(({ declarations }) => declarations)
      .find((declaration) => declaration.name === name)?.ignoreChanges;

  test('a database’s password, and what starts its users anew, until their rotation', () => {
    const mark = 'spec.template.metadata.annotations["switchyard.dev/secret-versions"]';
    expect(optionsOf(testModel(), 'production-shop-cache-credentials')).toEqual(['stringData.password']);
    expect(optionsOf(testModel(), 'production-shop-workload')).toEqual([mark]);
    const rotating = testModel({ rotating: ['service/shop/cache'] });
    expect(optionsOf(rotating, 'production-shop-cache-credentials')).toBeUndefined();
    expect(optionsOf(rotating, 'production-shop-workload')).toBeUndefined();
    const rebuilt = testModel({ rotating: ['*'] });
    expect(optionsOf(rebuilt, 'production-shop-cache-credentials')).toBeUndefined();
    expect(
      optionsOf(testModel({ rotating: ['service/shopping/cache'] }), 'production-shop-workload'),
    ).toEqual([mark]);
  });

  test('the user of a server that knows one password for each, beside the password', () => {
    const secretOf = (model: Model) =>
      topologyBoxes(model)
        .flatMap(({ declarations }) => declarations)
        .find(({ name }) => name === 'production-shop-cache-credentials')?.args as {
        stringData: Record<string, unknown>;
      };
    // As it was before anything was rotated: Pods that find none take the first one.
    expect(Object.keys(secretOf(ledgered()).stringData)).toEqual(['password']);
    expect(optionsOf(ledgered(), 'production-shop-cache-credentials')).toEqual([
      'stringData.password',
      'stringData.user',
    ]);
    expect(secretOf(ledgered(atVersion(2))).stringData.user).toBe('shop_2');
    expect(secretOf(ledgered(atVersion(3))).stringData.user).toBe('shop');
    expect(secretOf(ledgered({ rotating: ['service/shop/cache'] })).stringData.user).toBe('shop');
    const rotating = ledgered({ ...atVersion(2), rotating: ['service/shop/cache'] });
    expect(optionsOf(rotating, 'production-shop-cache-credentials')).toBeUndefined();
  });

  test('the module reads that user where it reads the password, whatever version a checkout knows', () => {
    const envOf = (model: Model) => {
      const all = topologyBoxes(model).flatMap(({ declarations }) => declarations);
      const found = (name: string) => all.find((one) => one.name === name)?.args as never;
      const { spec } = found('production-shop-workload') as {
        spec: { template: { spec: { containers: { env: { name: string }[] }[] } } };
      };
      const { data } = found('production-shop-environment') as { data: Record<string, string> };
      const { spec: database } = found('production-shop-cache-workload') as {
        spec: { template: { spec: { volumes: unknown[] } } };
      };
      return {
        env: spec.template.spec.containers[0]?.env.filter(({ name }) => name === 'CACHE_USER'),
        plain: data.CACHE_USER,
        volumes: database.template.spec.volumes,
      };
    };
    const secretKeyRef = { name: 'cache-credentials', key: 'user', optional: true };
    const expected = {
      env: [{ name: 'CACHE_USER', valueFrom: { secretKeyRef } }],
      plain: 'shop',
      volumes: expect.arrayContaining([
        { name: 'switchyard-password', secret: { secretName: 'cache-credentials' } },
      ]),
    };
    expect(envOf(ledgered())).toEqual(expected);
    expect(envOf(ledgered(atVersion(2)))).toEqual(expected);
    // What the module says itself wins over what its services bring.
    const own = envOf(ledgered({}, 'environment: { CACHE_USER: someone }\n'));
    expect(own).toMatchObject({ env: [], plain: 'someone' });
  });

  test('the key of backups, wherever it is held', () => {
    const backup = 'repository: "s3:https://s3.test/b/c", credentialsFrom: { accessKey: A, secretKey: B }';
    const model = modelOf({ backup });
    for (const name of ['backup-access', 'backup-production-access', 'release-backup-access']) {
      expect(optionsOf(model, name)).toEqual(['stringData.RESTIC_PASSWORD']);
      expect(optionsOf({ ...model, rotating: ['backup/key'] }, name)).toBeUndefined();
    }
  });
});

/**
 * A service that knows passwords, and its users, who have one; as they are when a rotation begins. One that knows one
 * password for each user has two users.
 */
class World {
  readonly accepted = new Set(['secret 1']);
  used = 'secret 1';
  file: SecretSettings = none;
  readonly failed: string[] = [];

  constructor(private readonly alternates: boolean) {
    if (alternates) {
      this.accepted.clear();
      this.accepted.add('shop: secret 1');
      this.used = 'shop: secret 1';
    }
  }

  /** What a user gives at a version. */
  private credentials(secret: string, version: number): string {
    return this.alternates ? `${usersOfTurn('shop', version)[0]}: ${secret}` : secret;
  }

  private set(user: string, secret: string): void {
    for (const one of [...this.accepted]) if (one.startsWith(`${user}: `)) this.accepted.delete(one);
    this.accepted.add(`${user}: ${secret}`);
  }

  private request(): void {
    if (!this.accepted.has(this.used)) this.failed.push(this.used);
  }

  /** One run of the command, which is killed before its nth change. */
  async run(kill: number): Promise<void> {
    let left = kill;
    const change = (work: () => void): void => {
      this.request();
      if (left-- === 0) throw new Error('killed');
      work();
      this.request();
    };
    const holder: Holder = {
      purpose: 'a',
      look: async () => undefined,
      admit: async (secret, version) =>
        change(() => {
          if (this.alternates) this.set(usersOfTurn('shop', version)[0], secret);
          else this.accepted.add(secret);
        }),
      retire: async (secret, version) =>
        change(() => {
          if (this.alternates) this.set(usersOfTurn('shop', version)[1], secret);
          else {
            this.accepted.clear();
            this.accepted.add(secret);
          }
        }),
    };
    await rotateBy([holder], this.file, ['a'], {
      record: (secrets) =>
        change(() => {
          this.file = secrets;
        }),
      secretOf: (purpose, { versions }) => `secret ${versions[purpose] ?? 1}`,
      apply: async (rotating) => {
        expect(rotating).toContain('a');
        change(() => {
          const version = this.file.versions.a ?? 1;
          this.used = this.credentials(`secret ${version}`, version);
        });
      },
      note: () => undefined,
    });
  }
}

test('no request fails at any step, wherever it is killed, and the same command ends what was begun', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(fc.nat({ max: 4 }), { maxLength: 4 }),
      async (alternates, kills) => {
        const world = new World(alternates);
        for (const kill of kills) await world.run(kill).catch(() => undefined);
        const version =
          world.file.rotating.length > 0 ? world.file.versions.a : (world.file.versions.a ?? 1) + 1;
        await world.run(Number.POSITIVE_INFINITY);
        expect(world.failed).toEqual([]);
        expect(world.file).toEqual({ versions: { a: version }, rotating: [] });
        expect(world.accepted).toContain(world.used);
        // Whoever has an old secret has no way in.
        const now = world.used.slice(world.used.indexOf('secret'));
        expect([...world.accepted].filter((one) => !one.endsWith(now))).toEqual([]);
      },
    ),
  );
});

test('nothing is written where something cannot be reached', async () => {
  const record = jest.fn();
  const holder: Holder = {
    purpose: 'a',
    look: async () => {
      throw new Error('down');
    },
    admit: async () => undefined,
    retire: async () => undefined,
  };
  const steps = { record, secretOf: () => 's', apply: async () => undefined, note: () => undefined };
  await expect(rotateBy([holder], none, ['a'], steps)).rejects.toThrow('down');
  expect(record).not.toHaveBeenCalled();
});

describe('a database', () => {
  const database = {
    purpose: 'service/shop/cache',
    place: { namespace: 'prod-shop', pod: 'cache-0', container: 'cache' },
    admit: ['let-in'],
    retire: ['let-go'],
  };
  const execWith = (shown: () => string) => {
    const fed: (readonly [readonly string[], string])[] = [];
    return {
      fed,
      run: async (_place: unknown, argv: readonly string[]) => {
        expect(argv).toEqual(['cat', '/run/switchyard/password']);
        return shown();
      },
      write: async (_place: unknown, argv: readonly string[], input: Readable) => {
        fed.push([argv, await text(input)]);
      },
    };
  };

  test('is fed the secret by its input, and lets the old one go when its own Pod shows the new one', async () => {
    const shows = ['old', 'new'];
    const exec = execWith(() => shows.shift() ?? 'new');
    const holder = databaseHolder(database, exec);
    await holder.admit('new', 2);
    expect(exec.fed).toEqual([[['let-in'], 'new']]);
    await holder.retire('new', 2);
    expect(exec.fed).toEqual([
      [['let-in'], 'new'],
      [['let-go'], 'new'],
    ]);
  });

  test('of two users is told whose turn it is, and who the other is', async () => {
    const [ofTwo] = databasesOf(ledgered(), ['service/shop/cache']).databases;
    if (!ofTwo) throw new Error('not rotated');
    const exec = execWith(() => 'new');
    const holder = databaseHolder(ofTwo, exec);
    await holder.admit('new', 2);
    await holder.retire('new', 2);
    await holder.admit('newer', 3);
    expect(exec.fed).toEqual([
      [['let-in', 'shop_2', 'shop'], 'new'],
      [['let-go', 'shop_2', 'shop'], 'new'],
      [['let-in', 'shop', 'shop_2'], 'newer'],
    ]);
  });

  test('that cannot do it says why, and one that prints nothing can', async () => {
    const checked = { ...database, check: ['look'] };
    const saying = (text: string) =>
      databaseHolder(checked, {
        write: async () => undefined,
        run: async (_place, argv) => {
          expect(argv).toEqual(['look']);
          return text;
        },
      });
    expect(await saying('its image has no shell\n').unable?.()).toBe(
      'prod-shop/cache-0 cannot take another password: its image has no shell.',
    );
    expect(await saying('').unable?.()).toBeUndefined();
  });

  test('keeps the old one where its Pod never shows the new one, and says how to go on', async () => {
    const exec = execWith(() => 'old');
    await expect(databaseHolder(database, exec, 0).retire('new', 2)).rejects.toThrow(
      'prod-shop/cache-0 still shows the old password after 0 minutes. Say the same command again',
    );
    expect(exec.fed).toEqual([]);
  });

  test('that refuses a command is told without the passwords that it may quote', async () => {
    const exec = {
      ...execWith(() => 'the old one'),
      write: async () => {
        throw new Error("near 'the old one' and 'the new one'");
      },
    };
    const holder = databaseHolder(database, exec);
    await holder.look();
    await expect(holder.admit('the new one', 2)).rejects.toThrow(
      /^service\/shop\/cache: near '[^o]*' and '[^o]*'$/,
    );
  });

  test('that was made before it had its password as a file is told to come up first', async () => {
    const exec = execWith(() => {
      throw new Error('cat: no such file');
    });
    await expect(databaseHolder(database, exec).look()).rejects.toThrow(/Bring the environment up first/);
  });
});
