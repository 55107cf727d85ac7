import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { cacheFolder, writeAtomically } from '../../disk/index.ts';
import { ownCode } from '../own-code.ts';
import type { Workspace } from '../types.ts';

/**
 * A parsed `banksman.yaml`, as it was kept when this text was last seen: to load the YAML library would be a tenth of the time
 * that a small query takes.
 *
 * @param texts all that the workspace follows from
 */
export async function keptForm(
  root: string,
  texts: readonly unknown[],
  parse: () => Promise<Workspace>,
): Promise<Workspace> {
  const hash = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
  const key = hash([texts, ownCode(), process.version]);
  // All share a bounded number of files, those of a workspace's commits too: one that finds another's is parsed.
  const place = cacheFolder('workspaces', hash([root, texts]).slice(0, 2));
  try {
    const kept = deserialize(readFileSync(place)) as { readonly key: string; readonly workspace: Workspace };
    if (kept.key === key && kept.workspace.root === root) return Object.freeze(kept.workspace);
  } catch {
    // None, or one that can't be read: it is made anew.
  }
  const workspace = await parse();
  // A full disk, say: the next start takes as long as this one.
  await writeAtomically(place, serialize({ key, workspace })).catch(() => {});
  return workspace;
}
