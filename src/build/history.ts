import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import type { Label } from '../graph/index.ts';
import type { KeyParts } from './key.ts';

/** What each target of a workspace was last built from, so that it can be told why it is built again. */
export interface History {
  /** @returns undefined where the target was not built here, or nobody remembers */
  before(name: Label | string): Promise<KeyParts | undefined>;
  /** @param parts given where the action ran; they are kept by key */
  note(name: Label | string, key: string, parts?: KeyParts): Promise<void>;
  save(): Promise<void>;
}

/** What a target's test is remembered as: it has other inputs than the action that builds it. */
export function testName(label: Label): string {
  return `test of ${label}`;
}

export function openHistory(folder: string, workspaceRoot: string): History {
  const id = createHash('sha256').update(workspaceRoot).digest('hex').slice(0, 32);
  const lastFile = join(folder, 'last', `${id}.json`);
  const partsFile = (key: string) => join(folder, 'actions', key.slice(0, 2), `${key}.parts`);
  let keys: Promise<Map<string, string>> | undefined;
  let changed = false;
  const last = () => {
    keys ??= readKeys(lastFile);
    return keys;
  };
  return {
    async before(label) {
      const key = (await last()).get(label);
      return key === undefined ? undefined : readParts(partsFile(key));
    },
    async note(label, key, parts) {
      const all = await last();
      if (all.get(label) !== key) {
        all.set(label, key);
        changed = true;
      }
      if (parts !== undefined) await writeAtomically(partsFile(key), JSON.stringify(parts), 0o644, false);
    },
    async save() {
      if (!changed) return;
      changed = false;
      await writeAtomically(lastFile, JSON.stringify(Object.fromEntries(await last())));
    },
  };
}

async function readKeys(path: string): Promise<Map<string, string>> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value !== 'object' || value === null) return new Map();
    return new Map(
      Object.entries(value).filter((entry): entry is [string, string] => /^[0-9a-f]{64}$/.test(String(entry[1]))),
    );
  } catch {
    return new Map();
  }
}

async function readParts(path: string): Promise<KeyParts | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    const whole =
      Array.isArray(value) &&
      value.every((part) => Array.isArray(part) && typeof part[0] === 'string' && typeof part[1] === 'string');
    return whole ? (value as [string, string][]) : undefined;
  } catch {
    return undefined;
  }
}
