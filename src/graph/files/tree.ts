/** What stands at a path of a source tree, told apart as git does. */
export type EntryKind = 'file' | 'symlink' | 'folder' | 'submodule';

export interface Entry {
  readonly name: string;
  readonly kind: EntryKind;
}

/**
 * The files of a workspace at one moment: the work tree, or a commit read from git's objects.
 *
 * Paths are relative to the workspace root with `/` between parts; '' is the root. Calls are synchronous, because the
 * evaluation of BUILD files asks in the middle of an expression. What git ignores, `.git` itself and the output
 * folder are not listed.
 */
export interface SourceTree {
  /** For people: `the work tree`, `commit 1a2b3c4`. */
  readonly name: string;
  /** Id of the commit that these are the files of; undefined for the work tree. */
  readonly commit?: string | undefined;
  /** Undefined where nothing stands there. Symbolic links are told as such and not followed. */
  kind(path: string): EntryKind | undefined;
  /** The entries of a folder in the order of their names' UTF-16 code units; empty where there is no folder. */
  list(folder: string): readonly Entry[];
  /**
   * A file's bytes; symbolic links are followed inside the tree.
   *
   * @returns undefined where there is no file
   */
  read(path: string): Buffer | undefined;
  /**
   * Names the content, mode and kind of what stands at a path: for a file the id of its git blob with its mode, for
   * a symbolic link also what it leads to, for a folder all that is below it.
   *
   * @returns undefined where nothing stands there
   */
  contentHash(path: string): string | undefined;
  /** Whether git tells by itself when the file at a path changes: it tracks it as a plain file. */
  isTracked(path: string): boolean;
  /** Where on the disk a file is that does not lie in the workspace; undefined for all others, and where it is not given. */
  placeOf?(path: string): string | undefined;
  /** Keeps what was learned (file hashes) for the next run; does nothing where there is nothing to keep. */
  save(): Promise<void>;
}
