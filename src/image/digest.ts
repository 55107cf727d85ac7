import { createHash } from 'node:crypto';
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
