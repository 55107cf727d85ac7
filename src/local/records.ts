import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import { formatIdentity, type Identity, identify, isAlive, parseIdentity } from './identity.ts';
import type { Layout } from './layout.ts';

/** What is noted of a process so that a later supervisor can take it over. */
export interface ProcessRecord extends Identity {
  /** Hash of what it was started with: where that changes, it is started anew. */
  readonly made: string;
  readonly restarts: number;
}

const processesFile = (layout: Layout) => join(layout.run, 'processes.json');
const identityFile = (layout: Layout, who: 'supervisor' | 'guard') => join(layout.run, `${who}.pid`);
const stoppingFile = (layout: Layout) => join(layout.run, 'stopping');
const settledFile = (layout: Layout) => join(layout.run, 'settled');
const bootFile = (layout: Layout) => join(layout.run, 'boot');

/** Makes the run folder. What an earlier run of the machine left in it is of no use: its processes are gone. */
export async function openRunFolder(layout: Layout): Promise<void> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  const noted = await readFile(bootFile(layout), 'utf8').catch(() => undefined);
  if (noted !== boot) await rm(layout.run, { recursive: true, force: true });
  await mkdir(layout.run, { recursive: true, mode: 0o700 });
  await writeFile(bootFile(layout), boot, { mode: 0o600 });
}

/** Whether the run folder is of this run of the machine. */
export function isCurrentRun(layout: Layout): boolean {
  try {
    return readFileSync(bootFile(layout), 'utf8') === readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  } catch {
    return false;
  }
}

export async function readRecords(layout: Layout): Promise<Map<string, ProcessRecord>> {
  const records = new Map<string, ProcessRecord>();
  let value: unknown;
  try {
    value = JSON.parse(await readFile(processesFile(layout), 'utf8'));
  } catch {
    return records; // none yet; a damaged one can't be, since it is written whole
  }
  for (const [name, record] of Object.entries(value as Record<string, Partial<ProcessRecord>>)) {
    const { pid, started, made, restarts } = record;
    if (typeof pid === 'number' && typeof started === 'string' && typeof made === 'string') {
      records.set(name, { pid, started, made, restarts: typeof restarts === 'number' ? restarts : 0 });
    }
  }
  return records;
}

export async function writeRecords(layout: Layout, records: ReadonlyMap<string, ProcessRecord>): Promise<void> {
  await writeAtomically(processesFile(layout), JSON.stringify(Object.fromEntries(records)), 0o600);
}

/** The living supervisor or guard. */
export function readIdentity(layout: Layout, who: 'supervisor' | 'guard'): Identity | undefined {
  if (!isCurrentRun(layout)) return undefined;
  let text: string;
  try {
    text = readFileSync(identityFile(layout, who), 'utf8');
  } catch {
    return undefined;
  }
  const identity = parseIdentity(text);
  return identity && isAlive(identity) ? identity : undefined;
}

export async function writeIdentity(layout: Layout, who: 'supervisor' | 'guard', pid: number): Promise<void> {
  const identity = identify(pid);
  if (identity) await writeAtomically(identityFile(layout, who), formatIdentity(identity), 0o600);
}

/** `down` has begun: nothing may be started any more. */
export function isStopping(layout: Layout): boolean {
  return existsSync(stoppingFile(layout));
}

export async function noteStopping(layout: Layout): Promise<void> {
  await writeFile(stoppingFile(layout), '', { mode: 0o600 });
}

/** The cluster was whole once since `up`: from then on what isn't well is `degraded`, not `starting`. */
export function hasSettled(layout: Layout): boolean {
  return existsSync(settledFile(layout));
}

export async function noteSettled(layout: Layout): Promise<void> {
  await writeFile(settledFile(layout), '', { mode: 0o600 });
}
