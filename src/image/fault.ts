import { Fault } from '../fault/index.ts';

/** What goes wrong with images, Debian packages and registries. */
export class ImageFault extends Fault<
  /** Text that should be a digest, an image reference or a repository name is none. */
  | 'image/bad-digest'
  | 'image/bad-reference'
  | 'image/bad-repository'
  /** Content does not have the sum or size that names it. */
  | 'image/wrong-content'
  /** A blob that something refers to is not in the store. */
  | 'image/missing-blob'
  /** An archive (tar, ar, deb) is damaged, hostile, or beyond a limit. */
  | 'image/bad-archive'
  | 'image/too-large'
  /** A layout folder, manifest or configuration can't be understood. */
  | 'image/bad-layout'
  /** Two files of one image claim the same path, or a file's path is not usable. */
  | 'image/bad-file'
  | 'image/bad-user'
  /** Debian packages. */
  | 'image/bad-lock'
  | 'image/package-gone'
  | 'image/package-script'
  | 'image/package-unknown'
  | 'image/package-unresolved'
  | 'image/package-client'
  | 'image/no-debian-source'
  /** Two contents have one tag. */
  | 'image/tag-clash'
  /** Registries. */
  | 'image/registry-unreachable'
  | 'image/registry-refused'
  | 'image/registry-unauthorized'
  | 'image/registry-not-found'
  | 'image/bad-registry-answer'
  | 'image/bad-registry-settings'
  | 'image/registry-damaged'
> {}
