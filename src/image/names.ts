import { type Digest, digestOf, hexOf, isDigest } from './digest.ts';
import { ImageFault } from './fault.ts';

/** OCI distribution-spec 1.1, "Pulling manifests": <name>. */
const repositoryPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
/** ... and <reference> as a tag. */
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** Characters that file systems and other registries take. */
const maximumRepository = 255;

export function isRepository(text: string): boolean {
  return text.length <= maximumRepository && repositoryPattern.test(text);
}

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/**
 * The repository of an image target: `//bank/ledger:image` and `//bank/ledger:ledger` -> `bank/ledger`,
 * `//bank/ledger:migrate` -> `bank/ledger/migrate`.
 *
 * @param repo what the target's `repo` argument says in its place
 * @throws ImageFault image/bad-repository where a registry would not take the name (upper case, say)
 */
export function repositoryFor(label: string, repo?: string): string {
  const [, path, name] =
    /^\/\/([^:]*):([^:]+)$/.exec(label.includes(':') ? label : `${label}:${label.split('/').at(-1)}`) ?? [];
  if (path === undefined || name === undefined) {
    throw new ImageFault('image/bad-repository', `${JSON.stringify(label)} is not the label of an image`);
  }
  const last = path.split('/').at(-1);
  const repository =
    repo ?? (path !== '' && (name === 'image' || name === last) ? path : path === '' ? name : `${path}/${name}`);
  if (isRepository(repository)) return repository;
  throw new ImageFault('image/bad-repository', `${label} can't have the repository ${JSON.stringify(repository)}`, {
    notes: ['a repository is lower-case letters and digits, in parts divided by / . _ or -'],
    next: `give the target a name of its own: repo = "${repository.toLowerCase().replace(/[^a-z0-9/._-]+/g, '-')}"`,
  });
}

/** A name for the content: the configuration holds the sums of the uncompressed layers, whatever compresses them later. */
export function tagFor(configDigest: Digest): string {
  return hexOf(configDigest).slice(0, 12);
}

/** What an index of images is named by: their configurations together, whatever compresses layers later. */
export function indexContent(configDigests: readonly Digest[]): Digest {
  return digestOf([...configDigests].sort().join('\n'));
}

/** `registry.local/bank/ledger:0123456789ab@sha256:...` in its parts. */
export interface Reference {
  /** Host, and port where it is not the usual one. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/**
 * The parts of an image's name. The registry must be there: which one a short name means depends on who reads it.
 *
 * @throws ImageFault image/bad-reference
 */
export function parseReference(text: string): Reference {
  const bad = (why: string) =>
    new ImageFault('image/bad-reference', `${JSON.stringify(text.slice(0, 300))} does not name an image: ${why}`, {
      next: 'write it as registry.example/repository:tag, or with @sha256:... in place of the tag',
    });
  const slash = text.indexOf('/');
  const registry = text.slice(0, Math.max(slash, 0));
  if (!/^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$/.test(registry)) {
    throw bad('it does not begin with a registry');
  }
  if (!/[.:]/.test(registry) && registry !== 'localhost') {
    throw bad(`${registry} is not a registry (those have a dot or a port)`);
  }
  const [named = '', digest, ...more] = text.slice(slash + 1).split('@');
  if (more.length > 0 || (digest !== undefined && !isDigest(digest)))
    throw bad('its digest is not sha256: and 64 hex digits');
  const colon = named.indexOf(':');
  const repository = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (!isRepository(repository)) throw bad(`${JSON.stringify(repository)} is not a repository`);
  if (tag !== undefined && !isTag(tag)) throw bad(`${JSON.stringify(tag)} is not a tag`);
  return { registry, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}
