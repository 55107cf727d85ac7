import type { AnyDigest, Digest } from '../digest.ts';
import type { Descriptor } from '../manifest.ts';
import type { Source } from './upload.ts';

export interface FoundManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** One repository of one registry, seen from outside. distribution-spec 1.1. */
export interface RemoteRepository {
  readonly registry: string;
  readonly repository: string;
  /** Digest and type of what a tag or digest names; undefined where it is not there. */
  head(reference: string): Promise<{ readonly digest: Digest; readonly mediaType: string } | undefined>;
  /** @throws ImageFault image/registry-not-found, image/wrong-content */
  manifest(reference: string): Promise<FoundManifest>;
  /**
   * What it refers to must be there. A manifest with a subject is listed among the subject's referrers afterwards, also by
   * registries that don't do so by themselves.
   *
   * @param options.onlyNew a tag is set only where there is none: registries that don't know `If-None-Match` set it all the same
   * @returns false where the tag was there
   */
  putManifest(
    reference: string,
    mediaType: string,
    bytes: Uint8Array,
    options?: { readonly onlyNew?: boolean },
  ): Promise<boolean>;
  /** A tag, or a manifest with all its tags. False where it is not there. */
  deleteManifest(reference: string): Promise<boolean>;
  hasBlob(digest: AnyDigest): Promise<boolean>;
  /**
   * The bytes; the end of the iteration means that they are right. A broken line goes on where it broke.
   * @throws ImageFault image/registry-not-found, image/wrong-content
   */
  blob(digest: AnyDigest, size?: number): AsyncIterable<Uint8Array>;
  /** Sends a blob, unless the registry finds it among what it has. @returns the bytes sent */
  putBlob(digest: AnyDigest, size: number, source: Source): Promise<number>;
  /** In the registry's order. */
  tags(): AsyncGenerator<string>;
  /** What refers to the digest: signatures, SBOMs. Empty where there is nothing. */
  referrers(digest: AnyDigest, artifactType?: string): Promise<Descriptor<AnyDigest>[]>;
  close(): void;
}
