import { createHash } from 'node:crypto';

/** What names a blob: SHA-256 in hex, and bytes. */
export interface Digest {
  readonly hash: string;
  readonly sizeBytes: number;
}

/** Messages of the Remote Execution API as they come from the wire: nothing of them is checked. */
export interface ActionResult {
  readonly outputFiles: readonly { path: string; digest: Digest | null; isExecutable: boolean }[];
  readonly outputDirectories: readonly { path: string; treeDigest: Digest | null }[];
  readonly exitCode: number;
  readonly executionMetadata: {
    readonly worker: string;
    readonly executionStartTimestamp: Timestamp | null;
    readonly executionCompletedTimestamp: Timestamp | null;
  } | null;
}

export interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

export interface Directory {
  readonly files: readonly { name: string; digest: Digest | null; isExecutable: boolean }[];
  readonly directories: readonly { name: string; digest: Digest | null }[];
  readonly symlinks: readonly { name: string; target: string }[];
}

export interface Tree {
  readonly root: Directory | null;
  readonly children: readonly Directory[];
}

/** How messages that are blobs themselves are written and read. */
export interface Codec {
  action(value: { commandDigest: Digest; inputRootDigest: Digest }): Buffer;
  command(value: { arguments: readonly string[] }): Buffer;
  directory(value: Directory): Buffer;
  tree(value: Tree): Buffer;
  /** @throws Error where the bytes are no Tree */
  readTree(bytes: Buffer): Tree;
}

export function digestOf(bytes: Uint8Array): Digest {
  return { hash: createHash('sha256').update(bytes).digest('hex'), sizeBytes: bytes.length };
}
