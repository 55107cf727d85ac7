import { createHash } from 'node:crypto';

/** An output of an action as the cache knows it: named by content, at a path relative to the output root. */
export type Artifact = FileArtifact | FolderArtifact;

export interface FileArtifact {
  readonly kind: 'file';
  readonly path: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  readonly executable: boolean;
}

export interface FolderArtifact {
  readonly kind: 'folder';
  readonly path: string;
  /** Over the listing, which holds the sums of all files. */
  readonly sha256: string;
  /** Sorted by path; parents before what is in them. */
  readonly entries: readonly FolderEntry[];
}

export type FolderEntry =
  | FileArtifact
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string };

/** The sum of a folder: names, kinds, modes and contents of all that is in it. */
export function folderSum(entries: readonly FolderEntry[]): string {
  const hash = createHash('sha256');
  for (const entry of entries) {
    const content =
      entry.kind === 'file' ? [entry.sha256, entry.executable] : entry.kind === 'symlink' ? [entry.target] : [];
    hash.update(`${JSON.stringify([entry.kind, entry.path, ...content])}\n`);
  }
  return hash.digest('hex');
}

/** What of an artifact is part of the key of an action that reads it. */
export function artifactIdentity(artifact: Artifact): string {
  const mode = artifact.kind === 'file' && artifact.executable ? 'x' : '';
  return `${artifact.path} ${artifact.kind}${mode} ${artifact.sha256}`;
}

/** The files of an artifact; a folder's are relative to it. */
export function filesOf(artifact: Artifact): readonly FileArtifact[] {
  if (artifact.kind === 'file') return [artifact];
  return artifact.entries.filter((entry) => entry.kind === 'file');
}
