/** What a layer can hold. Devices, pipes and sparse files have no place in an image. */
export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink';

/** A header of a tar archive, as plain data. */
export interface TarHeader {
  /** Relative to the archive's root, without `./` before or `/` behind it; empty for the root itself. */
  readonly path: string;
  readonly type: EntryType;
  /** Permission bits, 0o7777 at most. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the content; 0 for everything but files. */
  readonly size: number;
  /** What a symbolic link says; for a hard link the `path` of an earlier file. Empty for the others. */
  readonly target: string;
  /** Of a file: extended attributes by their names, in base64, such as `security.capability`. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

/** Order of bytes, the same under every locale. A folder comes before what is in it. */
export function comparePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}
