import { createHash } from 'node:crypto';
import type { LoadOptions } from '../load/load.ts';
import { ownCode } from '../own-code.ts';
import type { Workspace } from '../types.ts';

/** Names all that evaluation depends on beside the files: configuration, built-in rules, the machine's kind, this program itself. */
export function setupOf(workspace: Workspace, { ruleFiles }: Pick<LoadOptions, 'ruleFiles'>): string {
  const { root: _root, place: _place, environments: _environments, registry: _registry, ...configuration } = workspace;
  return shortHash([configuration, ruleFiles, process.platform, process.arch, process.version, ownCode()]);
}

export function shortHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
}
