import { createHash, type Hash } from 'node:crypto';
import { ImageFault } from './fault.ts';

/** `sha256:` and 64 lower-case hex digits: what names content everywhere in this folder. OCI image-spec, descriptor.md. */
export type Digest = `sha256:${string}`;

const pattern = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return pattern.test(text);
}

/** @throws ImageFault image/bad-digest where the text is not a SHA-256 digest */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new ImageFault('image/bad-digest', `${JSON.stringify(text.slice(0, 100))} is not a digest`, {
    next: 'write it as sha256: and 64 lower-case hex digits',
  });
}

/** The hex digits alone. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}

export function digestOf(bytes: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** What other tools name content by: registries and manifests may use SHA-512 beside SHA-256. OCI image-spec, descriptor.md. */
export type AnyDigest = Digest | `sha512:${string}`;

export function isAnyDigest(text: string): text is AnyDigest {
  return isDigest(text) || /^sha512:[0-9a-f]{128}$/.test(text);
}

/** The hex digits alone; their number tells the algorithm. */
export function hexOfAny(digest: AnyDigest): string {
  return digest.slice('sha256:'.length);
}

/** A running sum of the algorithm that a digest names. */
export function hashFor(digest: AnyDigest): Hash {
  return createHash(digest.startsWith('sha512:') ? 'sha512' : 'sha256');
}

/** The sum of the bytes, of the same algorithm as another digest. */
export function digestLike(digest: AnyDigest, bytes: string | Uint8Array): AnyDigest {
  const hex = hashFor(digest).update(bytes).digest('hex');
  return digest.startsWith('sha512:') ? `sha512:${hex}` : `sha256:${hex}`;
}
