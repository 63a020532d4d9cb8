const { readFileSync } = require('node:fs');
const pulumi = require('@pulumi/pulumi');

// The same resources as plain Pulumi has them: the classes of the same packages, the inputs as values, nothing else. What is
// measured of Switchyard beside it is what it does for its own sake. BENCH_RESOURCES names a file: the resources of a stack
// as `pulumi stack export --show-secrets` has them.

/** What marks a secret in an exported state (`resource.SecretSig` of Pulumi). */
const SECRET = '4dabf18193072939515e22adb298388d';

const packages = {
  docker: require('@pulumi/docker'),
  gitlab: require('@pulumi/gitlab'),
  kubernetes: require('@pulumi/kubernetes'),
};

function value(stored) {
  if (Array.isArray(stored)) return stored.map(value);
  if (stored === null || typeof stored !== 'object') return stored;
  if (SECRET in stored && 'plaintext' in stored) return pulumi.secret(value(JSON.parse(stored.plaintext)));
  const entries = Object.entries(stored).filter(([key]) => key !== '__defaults');
  return Object.fromEntries(entries.map(([key, inner]) => [key, value(inner)]));
}

/** `kubernetes:apps/v1:Deployment`, `gitlab:index/project:Project`: the class, where the package has one. */
function classOf(type) {
  const [name, path, kind] = type.split(':');
  if (name !== 'kubernetes') return packages[name]?.[kind];
  const [group, version] = path.split('/');
  return packages.kubernetes[group.split('.')[0]]?.[version]?.[kind];
}

function make({ type, urn, custom, inputs }, options) {
  const name = urn.slice(urn.lastIndexOf('::') + 2);
  if (type.startsWith('pulumi:providers:'))
    return new packages[type.slice('pulumi:providers:'.length)].Provider(name, value(inputs), options);
  if (!custom) return new pulumi.ComponentResource(type, name, {}, options);
  const Class = classOf(type);
  if (!Class) return new pulumi.CustomResource(type, name, value(inputs), options);
  return new Class(name, value(inputs), options);
}

const made = new Map();
for (const resource of JSON.parse(readFileSync(process.env.BENCH_RESOURCES, 'utf8'))) {
  if (resource.type === 'pulumi:pulumi:Stack' || resource.delete) continue;
  const provider = made.get(resource.provider?.slice(0, resource.provider.lastIndexOf('::')));
  const options = {
    parent: made.get(resource.parent),
    dependsOn: (resource.dependencies ?? []).flatMap((urn) => made.get(urn) ?? []),
    ...(resource.custom && provider ? { provider } : {}),
  };
  made.set(resource.urn, make(resource, options));
}
