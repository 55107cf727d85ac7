import { hash } from 'node:crypto';
import { readFileSync, statSync, utimesSync } from 'node:fs';
import { cacheFolder, keepRecent, writeAtomically } from '../../disk/index.ts';
import { type Observations, stillObserved } from '../files/observed.ts';
import type { Label, Package, Target } from '../types.ts';
import { decodeTargets, encodeTargets } from './encode-target.ts';
import { LazyMap } from './lazy-map.ts';

/** What an evaluation came to, with all that it depended on. */
export interface Evaluated {
  readonly packages: ReadonlyMap<string, Package>;
  readonly targets: ReadonlyMap<Label, Target>;
  /** What the patterns matched that were asked for. */
  readonly labels: readonly Label[];
  /** What BUILD files said. */
  readonly said: readonly string[];
  /** Whether labels mean the same wherever a person writes them: there are no subrepos with folders of their own. */
  readonly plain: boolean;
  /** Whether functions follow its builds: these are not kept. */
  readonly grows: boolean;
  readonly observed: Observations;
}

/**
 * A file: the SHA-256 of all that follows, the length of the header in bytes, the header as JSON, then the targets of each package. The
 * targets are decoded when they are asked for.
 */
interface Header extends Omit<Evaluated, 'packages' | 'targets'> {
  /** With the names of those targets that belong to the graph: all, or what was reached. */
  readonly packages: readonly (readonly [name: string, file: string, length: number, targets: readonly string[]])[];
}

/** Part of every name: a change of the form makes all of them new. */
const format = 'banksman evaluated 2';
/** Files kept, of all workspaces together. Those not used for longest go. */
const kept = 256;
/** A file's time of use is written down again when it is older than this. Milliseconds. */
const freshness = 3_600_000;
const sumLength = 64;

/** Where the outcome of an evaluation is kept. @param request all that it depends on beside the files */
export function placeOf(request: unknown): string {
  return cacheFolder('evaluated', hash('sha256', JSON.stringify([format, request])).slice(0, 40));
}

/**
 * What the same evaluation came to before, where all that it looked at is as it was.
 *
 * @param source gives the text of a BUILD file, for the places of faults
 */
export async function findEvaluated(
  place: string,
  root: string,
  source: (file: string) => string | undefined,
): Promise<Evaluated | undefined> {
  let data: Buffer;
  let header: Header;
  let start: number;
  try {
    data = readFileSync(place);
    const end = data.indexOf(10);
    const [sum, length] = data.toString('latin1', 0, end).split(' ');
    if (hash('sha256', data.subarray(sumLength)) !== sum) return undefined;
    start = end + 1 + Number(length);
    header = JSON.parse(data.toString('utf8', end + 1, start)) as Header;
  } catch {
    // None, or one that can't be read: it is made anew.
    return undefined;
  }
  const observed = stillObserved(root, header.observed);
  if (observed === undefined) return undefined;
  if (observed !== header.observed) await write(place, { ...header, observed }, data.subarray(start));
  else noteUse(place);
  const { packages: _, ...others } = header;
  return { ...others, ...decode(header, data.subarray(start), source), observed };
}

function decode(
  header: Header,
  bodies: Buffer,
  source: (file: string) => string | undefined,
): Pick<Evaluated, 'packages' | 'targets'> {
  const entries = new Map<string, { readonly file: string; readonly start: number; readonly end: number }>();
  const owners = new Map<Label, string>();
  let at = 0;
  for (const [name, file, length, names] of header.packages) {
    entries.set(name, { file, start: at, end: at + length });
    at += length;
    for (const each of names) owners.set(`//${name}:${each}`, name);
  }
  const loaded = new Map<string, Package>();
  const packageOf = (name: string): Package | undefined => {
    let found = loaded.get(name);
    const entry = entries.get(name);
    if (found === undefined && entry !== undefined) {
      const text = bodies.toString('utf8', entry.start, entry.end);
      found = { name, file: entry.file, targets: decodeTargets(text, name, entry.file, source) };
      loaded.set(name, found);
    }
    return found;
  };
  const targetOf = (label: Label): Target | undefined => {
    const owner = owners.get(label);
    return owner === undefined ? undefined : packageOf(owner)?.targets.get(label.slice(owner.length + 3));
  };
  return { packages: new LazyMap(entries, packageOf), targets: new LazyMap(owners, targetOf) };
}

/** Keeps the outcome of an evaluation. Where it can't be kept the next start takes as long as this one. */
export async function keepEvaluated(place: string, evaluated: Evaluated): Promise<void> {
  const { targets, packages: all, ...others } = evaluated;
  const bodies: Buffer[] = [];
  const packages: Header['packages'][number][] = [];
  for (const { name, file, targets: own } of all.values()) {
    const body = Buffer.from(encodeTargets(own.values(), file));
    bodies.push(body);
    const reached = [...own.values()].filter(({ label }) => targets.has(label));
    packages.push([name, file, body.length, reached.map((target) => target.name)]);
  }
  await write(place, { ...others, packages }, Buffer.concat(bodies));
}

async function write(place: string, header: Header, bodies: Buffer): Promise<void> {
  const text = Buffer.from(JSON.stringify(header));
  const rest = Buffer.concat([Buffer.from(` ${text.length}\n`), text, bodies]);
  try {
    await writeAtomically(place, Buffer.concat([Buffer.from(hash('sha256', rest)), rest]), 0o644, false);
    keepRecent(cacheFolder('evaluated'), { files: kept });
  } catch {
    // A full disk or a home folder that can't be written, say. The answer is there all the same.
  }
}

function noteUse(place: string): void {
  try {
    if (Date.now() - statSync(place).mtimeMs < freshness) return;
    const now = new Date();
    utimesSync(place, now, now);
  } catch {
    // Gone, or not ours.
  }
}
