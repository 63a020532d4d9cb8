/** An image's name in parts: `198.18.0.2:5000/jenkins:lab`. */
export interface ImageReference {
  /** With the registry, without the tag. */
  repository: string;
  tag: string;
}

const REPOSITORY =
  /^(?:[A-Za-z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;

/** @throws when the name is not `[registry/]repository[:tag]`; a digest cannot be built */
export function imageReference(name: string): ImageReference {
  if (name.includes('@')) throw new Error(`"${name}" has a digest: an image that is built has a tag only`);
  const colon = name.lastIndexOf(':');
  const tagged = colon > name.lastIndexOf('/');
  const repository = tagged ? name.slice(0, colon) : name;
  const tag = tagged ? name.slice(colon + 1) : 'latest';
  if (!REPOSITORY.test(repository) || !TAG.test(tag)) {
    throw new Error(`"${name}" is not an image name such as "registry.example.com/team/name:tag"`);
  }
  return { repository, tag };
}

/** Whether a name says its registry, by Docker's own rule (splitDockerDomain of distribution/reference). */
export function isWhole(name: string): boolean {
  const first = name.split('/')[0] ?? '';
  return name.includes('/') && (/[.:]/.test(first) || first === 'localhost');
}

/** The registry's host; Docker Hub's when the name has none. */
export const registryOf = (name: string): string =>
  isWhole(name) ? (name.split('/')[0] ?? '') : 'docker.io';
