import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import type { Progress } from '../../progress/index.ts';
import { type Artifact, type FileArtifact, filesOf } from '../artifact.ts';
import type { ActionRecord, Cache, TestRecord } from '../cache.ts';
import { isTexts, parseTestRecord } from '../cache.ts';
import { makeScratch } from '../scratch.ts';
import { createSlots } from '../slots.ts';
import { createBreaker } from './breaker.ts';
import { type Connection, connect } from './connection.ts';
import { RemoteFailure } from './failure.ts';
import type { Digest } from './messages.ts';
import { digestOf } from './messages.ts';
import {
  actionOf,
  checkedDigest,
  digestOfFile,
  fileOf,
  folderOf,
  secondsOf,
  toResult,
  type Upload,
} from './results.ts';
import type { RemoteCacheSettings } from './settings.ts';

/**
 * Results of other machines. It is only ever a help: whatever goes wrong with it counts as a result that is not there, and is
 * said once. What comes from it is in the local cache before it is handed out, and nothing comes in whose sum does not fit.
 */
export interface RemoteCache {
  /**
   * Brings an action's outputs into the local cache.
   *
   * @param wanted what the action makes: a result with other outputs is none
   * @param coming called where there is a result, before its content is fetched
   */
  find(key: string, wanted: Wanted, signal: AbortSignal, coming?: () => void): Promise<ActionRecord | undefined>;
  /** @param folder that files which the test has left behind are in; '' for any */
  findTest(key: string, folder: string, signal: AbortSignal): Promise<TestRecord | undefined>;
  /** Sends a result in the background. */
  keep(key: string, record: ActionRecord, wanted: Wanted): void;
  keepTest(key: string, record: TestRecord): void;
  /** Waits for what is being sent; when aborted, drops it. */
  settle(signal: AbortSignal): Promise<void>;
}

export interface Wanted {
  /** Outputs that the action is known to have, in their order. */
  readonly paths: readonly string[];
  /**
   * It may have others too, in this folder ('' for the root), and what it prints may count: a listing goes with the result.
   * False where the outputs are all.
   */
  readonly openIn: string | false;
}

export interface RemoteCacheOptions {
  readonly settings: RemoteCacheSettings;
  readonly cache: Cache;
  /** Where temporary files may be. */
  readonly scratchFolder: string;
  readonly progress: Progress;
}

/** Questions for results at a time. */
const questions = 16;
/** Results whose content is coming at a time: each holds a batch in memory at most. */
const fetches = 8;
/** Results being sent at a time, and waiting for it; what is made beyond that is not sent. */
const sends = 4;
const mostWaiting = 10_000;
/** Failures in a row after which nothing is asked for a while, and the while in milliseconds. */
const patience = 2;
const pause = 30_000;
/** Digests that one question for missing blobs has. */
const mostDigests = 10_000;

export function openRemoteCache({ settings, cache, scratchFolder, progress }: RemoteCacheOptions): RemoteCache {
  const { url } = settings;
  const questionSlots = createSlots(questions);
  const fetchSlots = createSlots(fetches);
  const sendSlots = createSlots(sends);
  const breaker = createBreaker(patience, pause);
  const said = new Set<string>();
  /** Blobs that the server is known to have: not asked for again. */
  const there = new Set<string>();
  const sending = new Set<Promise<void>>();
  let drop = new AbortController();
  let connection: Promise<Connection> | undefined;
  let usable = true;
  let uploads = settings.upload;
  let unsent = 0;

  const sayOnce = (topic: string, line: string) => {
    if (said.has(topic)) return;
    said.add(topic);
    progress.say(`warning: ${line}`);
  };
  for (const warning of settings.warnings) sayOnce(warning, warning);

  /** What a failure means for what comes after it. */
  const note = (failure: RemoteFailure, what: 'read' | 'send') => {
    const why = failure.message;
    switch (failure.problem) {
      case 'absent':
        breaker.succeeded();
        return;
      case 'busy':
      case 'away':
        breaker.failed();
        sayOnce('away', `the remote cache ${url} can't be reached, so this machine works alone: ${why}`);
        return;
      case 'denied':
        if (what === 'send') {
          uploads = false;
          sayOnce('denied', `the remote cache ${url} takes no results from here: ${why}`);
        } else {
          usable = false;
          sayOnce('denied', `the remote cache ${url} does not let this machine in, so it works alone: ${why}`);
        }
        return;
      case 'refused':
        sayOnce('refused', `the remote cache ${url} refused a request: ${why}`);
        return;
      case 'corrupt':
        sayOnce('corrupt', `the remote cache ${url} gave a damaged result, which is made here instead: ${why}`);
    }
  };

  const connected = async (): Promise<Connection> => {
    connection ??= connect(settings);
    try {
      return await connection;
    } catch (error) {
      connection = undefined;
      if (error instanceof RemoteFailure) {
        // Not even its capabilities: no second one waits as long for it.
        if (error.problem === 'away' || error.problem === 'busy') breaker.failed();
        else usable = false;
      }
      throw error;
    }
  };

  const guarded = async <T>(
    what: 'read' | 'send',
    signal: AbortSignal,
    work: (connection: Connection) => Promise<T>,
  ): Promise<T | undefined> => {
    if (!usable || !breaker.allows()) return undefined;
    try {
      const value = await work(await connected());
      breaker.succeeded();
      return value;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof RemoteFailure)) throw error;
      note(error, what);
      return undefined;
    }
  };

  /** Takes the listing out of what a result has. */
  const readListing = async (
    remote: Connection,
    found: Map<string, Artifact>,
    { openIn }: Wanted,
    signal: AbortSignal,
  ): Promise<Listing> => {
    const file = found.get(listingFile);
    if (file?.kind !== 'file') throw new RemoteFailure('corrupt', 'its outputs are not listed');
    found.delete(listingFile);
    const listing = parseListing(parseJson(await readBytes(remote, digestOfFile(file), signal)));
    if (listing === undefined || ![...found.values()].every((each) => isInside(each, openIn || ''))) {
      throw new RemoteFailure('corrupt', 'its outputs are not those of such an action');
    }
    return listing;
  };

  /** Content of one blob that the protocol needs, such as the listing of a folder. */
  const readBytes = async (remote: Connection, digest: Digest, signal: AbortSignal): Promise<Buffer> => {
    if (digest.sizeBytes === 0) return Buffer.alloc(0);
    if (digest.sizeBytes > mostMessage) throw new RemoteFailure('corrupt', 'a listing is larger than any of ours');
    const [blob] =
      digest.sizeBytes <= remote.batchLimit
        ? await remote.readBatch([digest], signal)
        : [{ digest, data: await readLarge(remote, digest, signal) }];
    if (blob === undefined) throw new RemoteFailure('absent', `${digest.hash} is missing`);
    checkSum(digest, blob.data);
    return blob.data;
  };

  const readLarge = async (remote: Connection, digest: Digest, signal: AbortSignal): Promise<Buffer> => {
    const scratch = await makeScratch(scratchFolder, (path) => path, cache.blobs);
    try {
      const path = join(scratch.temporary, 'listing');
      await remote.readTo(digest, path, signal);
      return await readFile(path);
    } finally {
      await scratch.remove();
    }
  };

  /** Brings what the local cache lacks of these files into it. */
  const fetchFiles = async (remote: Connection, files: readonly FileArtifact[], signal: AbortSignal): Promise<void> => {
    // One content can be there as a program and as a file: two blobs here, one there.
    const wanted = new Map<string, FileArtifact[]>();
    for (const file of files) {
      const same = wanted.get(file.sha256) ?? [];
      if (same.some(({ executable, size }) => executable === file.executable && size === file.size)) continue;
      if (!(await cache.blobs.has(file))) wanted.set(file.sha256, [...same, file]);
    }
    if (wanted.size === 0) return;
    const scratch = await makeScratch(scratchFolder, (path) => path, cache.blobs);
    const folder = scratch.temporary;
    await mkdir(folder, { recursive: true });
    const name = () => join(folder, randomBytes(6).toString('hex'));
    const takeIn = async (file: FileArtifact, path: string) => {
      // It is hashed as it is taken in. What has another sum is then there under that one, which harms nobody.
      const { sha256, size } = await cache.blobs.takeIn(path);
      if (sha256 !== file.sha256 || size !== file.size) throw wrongSum(digestOfFile(file));
    };
    const takeBytes = async (same: readonly FileArtifact[], data: Buffer) => {
      for (const file of same) {
        checkSum(digestOfFile(file), data);
        const path = name();
        await writeFile(path, data, { mode: file.executable ? 0o755 : 0o644 });
        await takeIn(file, path);
      }
    };
    try {
      let batch: FileArtifact[] = [];
      let bytes = 0;
      const readBatch = async () => {
        const asked = batch;
        batch = [];
        bytes = 0;
        if (asked.length === 0) return;
        const missing = new Set(asked.map(({ sha256 }) => sha256));
        for (const { digest, data } of await remote.readBatch(asked.map(digestOfFile), signal)) {
          if (!missing.delete(digest.hash)) continue;
          await takeBytes(wanted.get(digest.hash) ?? [], data);
        }
        for (const hash of missing) throw new RemoteFailure('absent', `${hash} is missing`);
      };
      for (const same of wanted.values()) {
        const [first] = same;
        if (first === undefined) continue;
        if (first.size === 0) await takeBytes(same, Buffer.alloc(0));
        else if (first.size > remote.batchLimit / 2) {
          for (const file of same) {
            const path = name();
            await remote.readTo(digestOfFile(file), path, signal);
            if (file.executable) {
              const handle = await open(path);
              await handle.chmod(0o755).finally(() => handle.close());
            }
            await takeIn(file, path);
          }
        } else {
          if (bytes + first.size > remote.batchLimit || batch.length >= mostDigests) await readBatch();
          batch.push(first);
          bytes += first.size;
        }
      }
      await readBatch();
    } finally {
      await scratch.remove();
    }
  };

  const send = async (
    remote: Connection,
    kind: 'action' | 'test',
    key: string,
    outputs: readonly Artifact[],
    seconds: number,
    extra: readonly { path: string; data: Buffer }[],
    signal: AbortSignal,
  ): Promise<void> => {
    if (!remote.takesResults) {
      uploads = false;
      return;
    }
    const action = actionOf(remote.codec, kind, key);
    const made = toResult(remote.codec, outputs, seconds);
    const all = new Map<string, Upload>();
    for (const upload of [...action.uploads, ...made.uploads]) all.set(upload.digest.hash, upload);
    const files = [...made.result.outputFiles];
    for (const { path, data } of extra) {
      const digest = digestOf(data);
      all.set(digest.hash, { digest, data });
      files.push({ path, digest, isExecutable: false });
    }
    const unknown = [...all.values()].filter(({ digest }) => digest.sizeBytes > 0 && !there.has(digest.hash));
    const missing: Upload[] = [];
    for (let from = 0; from < unknown.length; from += mostDigests) {
      const asked = unknown.slice(from, from + mostDigests);
      const lacks = await remote.missing(
        asked.map(({ digest }) => digest),
        signal,
      );
      const hashes = new Set(lacks.map(({ hash }) => hash));
      missing.push(...asked.filter(({ digest }) => hashes.has(digest.hash)));
    }
    let batch: { digest: Digest; data: Buffer }[] = [];
    let bytes = 0;
    const writeBatch = async () => {
      if (batch.length > 0) await remote.writeBatch(batch, signal);
      batch = [];
      bytes = 0;
    };
    for (const upload of missing) {
      const { digest } = upload;
      const path = 'file' in upload ? await pathOf(upload.file) : undefined;
      if (path !== undefined && digest.sizeBytes > remote.batchLimit / 2) {
        await remote.writeFrom(digest, path, signal);
        continue;
      }
      const data = 'data' in upload ? upload.data : await readFile(path ?? '');
      checkSum(digest, data);
      if (digest.sizeBytes > remote.batchLimit) {
        await sendLarge(remote, digest, data, signal);
        continue;
      }
      if (bytes + data.length > remote.batchLimit) await writeBatch();
      batch.push({ digest, data });
      bytes += data.length;
    }
    await writeBatch();
    await remote.putResult(action.digest, { ...made.result, outputFiles: files }, signal);
    for (const { digest } of unknown) there.add(digest.hash);
  };

  const pathOf = async (file: FileArtifact): Promise<string> => {
    if (await cache.blobs.has(file)) return cache.blobs.path(file);
    throw new RemoteFailure('absent', `${file.path} is not in the local cache any more`);
  };

  const sendLarge = async (remote: Connection, digest: Digest, data: Buffer, signal: AbortSignal): Promise<void> => {
    const scratch = await makeScratch(scratchFolder, (path) => path, cache.blobs);
    try {
      const path = join(scratch.temporary, 'listing');
      await writeFile(path, data);
      await remote.writeFrom(digest, path, signal);
    } finally {
      await scratch.remove();
    }
  };

  const enqueue = (work: (remote: Connection, signal: AbortSignal) => Promise<void>) => {
    if (!uploads || !usable) return;
    if (sending.size >= mostWaiting) {
      unsent++;
      return;
    }
    const { signal } = drop;
    const task: Promise<void> = sendSlots
      .run(0, async () => {
        if (signal.aborted || !uploads) return;
        await guarded('send', signal, (remote) => work(remote, signal));
      })
      .catch((error: unknown) => {
        // A result that is not sent is no failure of the build. What is wrong with the local disk, the build meets itself.
        if (!signal.aborted) sayOnce('send', `a result was not sent to the remote cache ${url}: ${String(error)}`);
      })
      .finally(() => sending.delete(task));
    sending.add(task);
  };

  return {
    find: (key, wanted, signal, coming) =>
      questionSlots.run(0, () =>
        guarded('read', signal, async (remote) => {
          const result = await remote.result(actionOf(remote.codec, 'action', key).digest, signal);
          if (result.exitCode !== 0) throw new RemoteFailure('corrupt', 'it is the result of an action that failed');
          return fetchSlots.run(0, async () => {
            coming?.();
            const found = new Map<string, Artifact>();
            for (const { path, digest, isExecutable } of result.outputFiles) {
              found.set(path, fileOf(path, digest, isExecutable));
            }
            for (const { path, treeDigest } of result.outputDirectories) {
              const tree = await readBytes(remote, checkedDigest(treeDigest), signal);
              found.set(path, folderOf(remote.codec, path, tree));
            }
            const { paths, openIn } = wanted;
            const listing: Listing =
              openIn === false ? { outputs: paths } : await readListing(remote, found, wanted, signal);
            const { outputs, optional } = pick(found, listing);
            const { printed, found: named } = listing;
            if (outputs.length + (optional?.length ?? 0) !== found.size || !paths.every((path) => found.has(path))) {
              throw new RemoteFailure('corrupt', 'it has other outputs than the action makes');
            }
            await fetchFiles(remote, [...outputs, ...(optional ?? [])].flatMap(filesOf), signal);
            const seconds = secondsOf(result);
            return {
              outputs,
              seconds,
              ...(optional !== undefined && { optional }),
              ...(printed !== undefined && { printed }),
              ...(named !== undefined && { found: named }),
            };
          });
        }),
      ),
    findTest: (key, folder, signal) =>
      questionSlots.run(0, () =>
        guarded('read', signal, async (remote) => {
          const result = await remote.result(actionOf(remote.codec, 'test', key).digest, signal);
          const file = result.outputFiles.find(({ path }) => path === testFile);
          if (file === undefined || result.exitCode !== 0)
            throw new RemoteFailure('corrupt', 'it is no result of a test');
          const bytes = await readBytes(remote, checkedDigest(file.digest), signal);
          const record = parseTestRecord(parseJson(bytes));
          if (record === undefined || !(record.files ?? []).every((each) => isInside(each, folder))) {
            throw new RemoteFailure('corrupt', 'it is no result of a test');
          }
          await fetchFiles(remote, (record.files ?? []).flatMap(filesOf), signal);
          return record;
        }),
      ),
    keep(key, { outputs, optional = [], printed, found, seconds }, { openIn }) {
      const pathsOf = (artifacts: readonly Artifact[]) => artifacts.map(({ path }) => path);
      const listing = { outputs: pathsOf(outputs), optional: pathsOf(optional), printed, found };
      const data = Buffer.from(JSON.stringify(listing));
      if (openIn !== false && data.length > mostMessage) return;
      const extra = openIn === false ? [] : [{ path: listingFile, data }];
      enqueue((remote, signal) => send(remote, 'action', key, [...outputs, ...optional], seconds, extra, signal));
    },
    keepTest(key, record) {
      const data = Buffer.from(JSON.stringify(record));
      if (data.length > mostMessage) return;
      const { files = [], seconds } = record;
      enqueue((remote, signal) => send(remote, 'test', key, files, seconds, [{ path: testFile, data }], signal));
    },
    async settle(signal) {
      const stop = () => drop.abort(signal.reason);
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop);
      const task = sending.size > 0 ? progress.begin('remote cache') : undefined;
      try {
        while (sending.size > 0) {
          task?.update(`sending ${sending.size} results`);
          await Promise.race(sending);
        }
      } finally {
        task?.done();
        signal.removeEventListener('abort', stop);
        if (drop.signal.aborted) drop = new AbortController();
      }
      if (unsent > 0) sayOnce('unsent', `${unsent} results were not sent to the remote cache ${url}: too many at once`);
    },
  };
}

/** Where a result has what the protocol has no words for. No output of an action is there. */
const testFile = 'test.json';
const listingFile = '.banksman/outputs.json';

interface Listing {
  readonly outputs: readonly string[];
  readonly optional?: readonly string[] | undefined;
  readonly printed?: string | undefined;
  readonly found?: readonly string[] | undefined;
}

function parseListing(value: Record<string, unknown> | undefined): Listing | undefined {
  const { outputs, optional, printed, found } = value ?? {};
  if (!isTexts(outputs) || !isTexts(optional)) return undefined;
  if ((printed !== undefined && typeof printed !== 'string') || (found !== undefined && !isTexts(found)))
    return undefined;
  return { outputs, optional: optional.length > 0 ? optional : undefined, printed, found };
}

/** Whether all of an artifact lies in a folder, as its path is written. */
function isInside({ path, ...artifact }: Artifact, folder: string): boolean {
  const isPlain = (each: string) =>
    each !== '' &&
    !each.includes('\0') &&
    each.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (!isPlain(path) || (folder !== '' && !path.startsWith(`${folder}/`))) return false;
  // Links were checked where the folder's listing was read; here they could come from a record.
  return (
    artifact.kind === 'file' ||
    artifact.entries.every((entry) => isPlain(entry.path) && (entry.kind !== 'symlink' || staysInside(entry)))
  );
}

function staysInside({ path, target }: { readonly path: string; readonly target: string }): boolean {
  const leads = normalize(join(dirname(path), target));
  return !isAbsolute(target) && leads !== '..' && !leads.startsWith('../');
}

function pick(
  found: ReadonlyMap<string, Artifact>,
  { outputs, optional }: Listing,
): { outputs: Artifact[]; optional?: Artifact[] } {
  const all = (paths: readonly string[]) =>
    paths.map((path) => {
      const artifact = found.get(path);
      if (artifact === undefined) throw new RemoteFailure('corrupt', 'it has other outputs than the action makes');
      return artifact;
    });
  return {
    outputs: all(outputs),
    ...(optional !== undefined && { optional: all(optional) }),
  };
}

/** Bytes of a listing, or of the result of a test. */
const mostMessage = 64 * 1024 * 1024;

function checkSum(digest: Digest, data: Buffer): void {
  const sum = createHash('sha256').update(data).digest('hex');
  if (sum !== digest.hash || data.length !== digest.sizeBytes) throw wrongSum(digest);
}

function wrongSum({ hash }: Digest): RemoteFailure {
  return new RemoteFailure('corrupt', `the content of ${hash.slice(0, 12)} does not fit its sum`);
}

function parseJson(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
