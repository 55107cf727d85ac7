import { readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import { type Artifact, type FileArtifact, filesOf, folderSum } from './artifact.ts';
import { type Blobs, openBlobs } from './blobs.ts';
import { evict, type Usage } from './evict.ts';

/** What an action with a given key has made. */
export interface ActionRecord {
  readonly outputs: readonly Artifact[];
  /** Files beside them that dependants don't see. */
  readonly optional?: readonly Artifact[];
  /** Standard output, where a function of the BUILD file reads it. */
  readonly printed?: string;
  /** Names of those among the outputs that came out of `output_dirs`. */
  readonly found?: readonly string[];
  /** Seconds that it took. */
  readonly seconds: number;
}

/** What is kept of a test that passed. */
export interface TestRecord {
  readonly cases: readonly unknown[];
  readonly output: string;
  readonly report: string;
  readonly attempts: number;
  readonly seconds: number;
  /** Files that it left behind. */
  readonly files?: readonly Artifact[];
}

/**
 * Results by key, on this machine:
 *
 *     actions/<2 hex>/<key>.json   outputs of an action: paths, kinds, sums
 *     tests/<2 hex>/<key>.json     tests that passed
 *     blobs/<2 hex>/<sha256>[x]    contents
 *
 * A record is written after its blobs, and every file appears by rename(2): a process killed at any point leaves
 * nothing behind but blobs that no record names. What can't be read, or does not fit its sums, counts as not there.
 */
export interface Cache {
  readonly folder: string;
  readonly blobs: Blobs;
  /** @returns undefined unless the record and all of its blobs are there and undamaged */
  find(key: string): Promise<ActionRecord | undefined>;
  keep(key: string, record: ActionRecord): Promise<void>;
  findTest(key: string): Promise<TestRecord | undefined>;
  keepTest(key: string, record: TestRecord): Promise<void>;
  /** Removes what was not used for longest, where the cache has outgrown its limit. */
  trim(): Promise<Usage | undefined>;
}

/** Goes up when records of before can't be read any more. */
const format = 1;

export function openCache(folder: string, limit: number): Cache {
  const blobs = openBlobs(join(folder, 'blobs'));
  const place = (kind: 'actions' | 'tests', key: string) => join(folder, kind, key.slice(0, 2), `${key}.json`);
  const read = async (path: string): Promise<Record<string, unknown> | undefined> => {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value !== 'object' || value === null) return undefined;
      const record = value as Record<string, unknown>;
      if (record.format !== format) return undefined;
      // The time of the last use, for eviction.
      await utimes(path, new Date(), new Date()).catch(() => {});
      return record;
    } catch {
      return undefined;
    }
  };
  const whole = async (artifacts: readonly Artifact[]): Promise<boolean> => {
    const there = await Promise.all(artifacts.flatMap(filesOf).map((file) => blobs.has(file)));
    return there.every(Boolean);
  };
  return {
    folder,
    blobs,
    async find(key) {
      const record = parseActionRecord(await read(place('actions', key)));
      if (record === undefined) return undefined;
      return (await whole([...record.outputs, ...(record.optional ?? [])])) ? record : undefined;
    },
    async keep(key, record) {
      await writeAtomically(place('actions', key), JSON.stringify({ format, ...record }), 0o644, false);
    },
    async findTest(key) {
      const record = parseTestRecord(await read(place('tests', key)));
      return record !== undefined && (await whole(record.files ?? [])) ? record : undefined;
    },
    async keepTest(key, record) {
      await writeAtomically(place('tests', key), JSON.stringify({ format, ...record }), 0o644, false);
    },
    trim: () => evict(folder, limit, blobs.takeAdded()),
  };
}

function parseActionRecord(value: Record<string, unknown> | undefined): ActionRecord | undefined {
  if (value === undefined || !Array.isArray(value.outputs) || typeof value.seconds !== 'number') return undefined;
  const { outputs, optional, printed, found, seconds } = value;
  if (!outputs.every(isArtifact)) return undefined;
  if (optional !== undefined && !(Array.isArray(optional) && optional.every(isArtifact))) return undefined;
  if (printed !== undefined && typeof printed !== 'string') return undefined;
  if (found !== undefined && !isTexts(found)) return undefined;
  return {
    outputs,
    seconds,
    ...(optional !== undefined && { optional }),
    ...(printed !== undefined && { printed }),
    ...(found !== undefined && { found }),
  };
}

function isArtifact(value: unknown): value is Artifact {
  if (!isFields(value) || typeof value.path !== 'string') return false;
  if (value.kind === 'file') return isFile(value);
  if (value.kind !== 'folder' || !Array.isArray(value.entries)) return false;
  const whole = value.entries.every(
    (entry) =>
      isFields(entry) &&
      typeof entry.path === 'string' &&
      ((entry.kind === 'file' && isFile(entry)) ||
        entry.kind === 'folder' ||
        (entry.kind === 'symlink' && typeof entry.target === 'string')),
  );
  return whole && folderSum(value.entries) === value.sha256;
}

function isFile(value: Record<string, unknown>): value is Record<string, unknown> & FileArtifact {
  return (
    typeof value.sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(value.sha256) &&
    typeof value.size === 'number' &&
    typeof value.executable === 'boolean'
  );
}

export function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

export function parseTestRecord(value: Record<string, unknown> | undefined): TestRecord | undefined {
  if (value === undefined) return undefined;
  const { cases, output, report, attempts, seconds, files } = value;
  if (!Array.isArray(cases) || typeof output !== 'string' || typeof report !== 'string') return undefined;
  if (typeof attempts !== 'number' || typeof seconds !== 'number') return undefined;
  if (files !== undefined && !(Array.isArray(files) && files.every(isArtifact))) return undefined;
  return { cases, output, report, attempts, seconds, ...(files !== undefined && { files }) };
}
