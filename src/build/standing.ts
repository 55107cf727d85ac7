import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import { isFault } from '../fault/index.ts';
import type { Label, Target } from '../graph/index.ts';
import type { Artifact } from './artifact.ts';
import { postOrder } from './closure.ts';
import { keyFormat } from './key.ts';
import { type StandingFiles, type StandingRecord, stateOfFile } from './standing-record.ts';
import { systemIdentity } from './system-file.ts';
import { resolveTool } from './tool.ts';
import type { BuiltinActions } from './types.ts';

/**
 * What stands in an output folder since an earlier build: for each target the hash that it had and its outputs, with the state of
 * the files then. What has the same hash, under the same conditions, and whose files are untouched, needs no look at its
 * inputs: the hash covers them all.
 */
export interface Standing {
  /** What a target has made, where it stands as it was put there; undefined where the target has to be built. */
  find(label: Label, hash: string): StandingOutputs | undefined;
  /**
   * Outputs have just been put in place.
   *
   * @param needs all targets that the action depends on, however far
   */
  note(
    target: Target,
    hash: string,
    artifacts: readonly Artifact[],
    needs: (label: Label) => readonly Target[],
  ): Promise<void>;
  /** @param exists whether there still is a target of that label: others are forgotten */
  save(exists: (label: Label) => boolean): Promise<void>;
}

export interface StandingOutputs {
  readonly artifacts: readonly Artifact[];
  /** Where they are: among programs, or among other outputs. */
  readonly binary: boolean;
}

/** Of this file, and of the keys of actions. */
const format = `banksman standing 2 ${keyFormat}`;

/** What beside hashes decides on outputs, and was so when they were made: names with what they stood for. */
type Conditions = Record<string, string>;

/**
 * @param folder where records are kept
 * @param outputRoot names the record, too
 */
export function standingFiles(folder: string, outputRoot: string): StandingFiles {
  const id = createHash('sha256').update(outputRoot).digest('hex').slice(0, 32);
  return {
    file: join(folder, 'standing', id),
    folders: { b: `${join(outputRoot, 'bin')}/`, g: `${join(outputRoot, 'gen')}/` },
  };
}

/** @param record what `readStanding` gave for these files just now */
export async function openStanding(
  { file, folders }: StandingFiles,
  record: StandingRecord | undefined,
  builtins: BuiltinActions,
): Promise<Standing> {
  const asked = new Map<string, Promise<string>>();
  const ask = (condition: string): Promise<string> => {
    let answer = asked.get(condition);
    if (answer === undefined) {
      answer = stateOf(condition, builtins);
      asked.set(condition, answer);
    }
    return answer;
  };
  const before = record && conditionsIn(record.header);
  const holds = before !== undefined && (await stillHold(before, ask));
  const conditions = new Map(holds ? Object.entries(before) : []);
  const lines = holds ? record!.lines : new Map<string, string>();
  let changed = false;
  const told = new Map<Label, boolean>();
  /** Notes the conditions of a target and of all that it needs; false where one of them has others than can be noted. */
  const tell = async (target: Target, needs: (label: Label) => readonly Target[]): Promise<boolean> => {
    const targets = new Map([[target.label, target]]);
    const order = postOrder([target.label], (label) => {
      if (told.has(label)) return [];
      const found = needs(label);
      for (const each of found) targets.set(each.label, each);
      return found.map((each) => each.label);
    });
    for (const label of order) {
      if (told.has(label)) continue;
      const names = conditionsOf(targets.get(label)!, builtins);
      for (const name of names ?? []) if (!conditions.has(name)) conditions.set(name, await ask(name));
      told.set(label, names !== undefined && needs(label).every((each) => told.get(each.label) === true));
    }
    return told.get(target.label) === true;
  };
  return {
    find(label, hash) {
      const line = lines.get(label);
      const start = label.length + 1;
      if (line?.startsWith(`${hash}\t`, start) !== true || record?.touched.has(label) === true) return undefined;
      return {
        get artifacts() {
          return JSON.parse(line.slice(line.lastIndexOf('\t') + 1)) as readonly Artifact[];
        },
        binary: line.startsWith('b', start + hash.length + 1),
      };
    },
    async note(target, hash, artifacts, needs) {
      const kind = target.binary ? 'b' : 'g';
      const places = placesOf(artifacts, folders[kind]);
      // A program is put in place with all that it needs when it runs, which is not looked at here.
      const alone = (!target.binary || target.data.all.length === 0) && target.optionalOuts === undefined;
      if (places === undefined || !alone || !(await tell(target, needs))) {
        changed = lines.delete(target.label) || changed;
        return;
      }
      lines.set(target.label, [target.label, hash, kind, ...places, JSON.stringify(artifacts)].join('\t'));
      changed = true;
    },
    async save(exists) {
      if (!changed) return;
      changed = false;
      for (const label of lines.keys()) if (!exists(label as Label)) lines.delete(label);
      await mkdir(dirname(file), { recursive: true });
      const header = JSON.stringify([format, Object.fromEntries(conditions)]);
      await writeAtomically(file, `${[header, ...lines.values()].join('\n')}\n`);
    },
  };
}

/** What a target's outputs depend on beside its hash, by name; undefined where that can't be told in short. */
function conditionsOf(target: Target, builtins: BuiltinActions): string[] | undefined {
  const { action, tools, passEnv } = target;
  const names = passEnv.map((name) => `variable ${name}`);
  for (const input of tools.all) if (input.kind === 'program') names.push(`program ${input.name}`);
  for (const input of [...target.srcs.all, ...tools.all]) {
    if (input.kind === 'system') names.push(`system ${input.path}`);
  }
  if (action.kind === 'shell' && action.command !== '') names.push('program bash');
  if (action.kind === 'builtin') {
    const builtin = builtins[action.name];
    // One that asks the machine something else for each target is asked for each.
    if (builtin === undefined || (builtin.key !== undefined && builtin.key.length > 0)) return undefined;
    names.push(`action ${action.name}`);
  }
  return names;
}

async function stateOf(condition: string, builtins: BuiltinActions): Promise<string> {
  const space = condition.indexOf(' ');
  const name = condition.slice(space + 1);
  switch (condition.slice(0, space)) {
    case 'program':
      return resolveTool(name).then(
        ({ identity }) => identity,
        (error: unknown) => (isFault(error) ? `unknown: ${error.code}` : Promise.reject(error)),
      );
    case 'system':
      return systemIdentity(name);
    case 'action': {
      const builtin = builtins[name];
      if (builtin === undefined) return 'unknown';
      // Those recorded ask the same for every target.
      const key = builtin.key as (() => Promise<string> | string) | undefined;
      const state = key === undefined ? '' : await Promise.resolve(key()).catch(() => 'unknown');
      return `${builtin.version} ${state}`;
    }
    default: {
      // A sum: what variables hold may be secret.
      const value = process.env[name];
      return value === undefined ? 'unset' : createHash('sha256').update(value).digest('hex');
    }
  }
}

async function stillHold(conditions: Conditions, ask: (name: string) => Promise<string>): Promise<boolean> {
  for (const [name, state] of Object.entries(conditions)) if ((await ask(name)) !== state) return false;
  return true;
}

/** @returns undefined for what a line can't hold, and for folders, which have too much in them to be looked through */
function placesOf(artifacts: readonly Artifact[], folder: string): string[] | undefined {
  const places: string[] = [];
  for (const { kind, path } of artifacts) {
    const stat = lstatSync(folder + path, { throwIfNoEntry: false });
    if (kind !== 'file' || stat === undefined || !stat.isFile() || /[\t\n]/.test(path)) return undefined;
    places.push(stateOfFile(stat), path);
  }
  return places;
}

function conditionsIn(header: string): Conditions | undefined {
  try {
    const [found, conditions] = JSON.parse(header) as [unknown, Conditions];
    return found === format ? conditions : undefined;
  } catch {
    // Damaged: everything is looked at.
    return undefined;
  }
}
