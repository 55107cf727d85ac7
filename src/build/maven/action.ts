import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { withLock, writeAtomically } from '../../disk/index.ts';
import type { Place } from '../../fault/index.ts';
import { ProcessFault, run } from '../../process/index.ts';
import { hashFile } from '../blobs.ts';
import { configList, configText, refuseUnlocked } from '../config.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltinAction } from '../types.ts';
import { readZip, unpack } from '../zip/read.ts';

/** The part of the Maven client that copies an artifact. It comes from the same repositories. */
const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1';
/** Milliseconds for one artifact, the plugin itself included. */
const patience = 300_000;

/**
 * Brings a jar with the Maven client, whose settings (mirrors, credentials) are the user's own, and checks its sum. What was
 * brought once is kept by its sum: `maven/<sum>.jar` in the cache folder.
 */
export const mavenJar: BuiltinAction = {
  version: '2',
  async run(request) {
    const { target } = request;
    refuseUnlocked(request, 'run banksman lock maven, and commit the lock file; or write its sum: sha256 = "..."');
    const id = configText(request, 'id');
    const sums = configList(request, 'sums').map((each) => each.toLowerCase());
    checkId(id, target.label, target.place);
    const cached = await findCached(request.cacheFolder, sums);
    const options = { ...request, wanted: target.label, place: target.place };
    const path = cached ?? (await fetchArtifact(id, sums, options));
    const output = join(request.outputFolder, target.outs[0] ?? '');
    if (/:aar(:|$)/.test(id)) {
      // Its classes are a jar inside of it.
      const classes = (await readZip(path, id)).find(({ name }) => name === 'classes.jar');
      if (classes === undefined)
        throw new BuildFault('build/bad-archive', `${id} holds no classes.jar`, { place: target.place });
      await writeFile(output, unpack(classes, id, 2 ** 31 - 1));
    } else await copyFile(path, output);
    await chmod(output, target.binary ? 0o755 : 0o644);
  },
};

export interface FetchOptions {
  readonly cacheFolder: string;
  readonly temporaryFolder: string;
  readonly signal: AbortSignal;
  readonly update: (text: string) => void;
  /** Who wants it, for errors. */
  readonly wanted: string;
  readonly place?: Place | undefined;
}

export function checkId(id: string, wanted: string, place?: Place): void {
  if (/^[\w.-]+:[\w.-]+:[\w.-]+(:[\w.-]+){0,2}$/.test(id)) return;
  throw new BuildFault('build/bad-config', `${wanted} has the id ${id}, which names no artifact`, {
    ...(place !== undefined && { place }),
    next: 'write group:artifact:version',
  });
}

const nameOf = (sum: string) => `${sum.replace(/[^0-9a-f]/g, '')}.jar`;

async function findCached(cacheFolder: string, sums: readonly string[]): Promise<string | undefined> {
  for (const sum of sums) {
    const path = join(cacheFolder, 'maven', nameOf(sum));
    if ((await stat(path).catch(() => undefined)) !== undefined && (await sumOf(path, sum.length)) === sum) return path;
  }
  return undefined;
}

/** @param digits of the sum: 40 for SHA-1, which old locks have, and 64 for SHA-256 */
async function sumOf(path: string, digits: number): Promise<string> {
  if (digits !== 40) return hashFile(path);
  return createHash('sha1')
    .update(await readFile(path))
    .digest('hex');
}

/**
 * @param sums that it may have; with none it is not checked
 * @returns where it is kept
 */
export async function fetchArtifact(id: string, sums: readonly string[], options: FetchOptions): Promise<string> {
  const maven = await resolveTool('mvn');
  const folder = await mkdtemp(join(options.temporaryFolder, 'maven-'));
  options.update(`fetching ${id}`);
  // Two clients at once can spoil the local repository that they share (MNG-2802).
  const lock = join(options.cacheFolder, 'maven', 'client.lock');
  await withLock(lock, () => runMaven(options, maven.path, id, folder));
  const place = options.place === undefined ? {} : { place: options.place };
  const [name] = await readdir(folder);
  const fetched = name === undefined ? undefined : join(folder, basename(name));
  if (fetched === undefined) throw new BuildFault('build/fetch-failed', `mvn brought nothing for ${id}`, place);
  const actual = await hashFile(fetched);
  const short = await sumOf(fetched, 40);
  const matched = sums.length === 0 ? actual : sums.find((sum) => sum === actual || sum === short);
  if (matched === undefined) {
    throw new BuildFault('build/hash-mismatch', `${id} has another sum than ${options.wanted} locks`, {
      ...place,
      notes: [`locked: ${sums.join(', ')}`, `had:    ${actual}`],
      next: 'find out why it is another content (a mirror, a changed version); if it is right, lock its sum',
    });
  }
  const kept = join(options.cacheFolder, 'maven', nameOf(matched));
  await writeAtomically(kept, await readFile(fetched));
  return kept;
}

async function runMaven(options: FetchOptions, program: string, id: string, folder: string): Promise<void> {
  const place = options.place === undefined ? {} : { place: options.place };
  // -U: a failure of an earlier day, which Maven remembers, is no answer.
  const args = [
    '-B',
    '-q',
    '-U',
    '-Dstyle.color=never',
    // Not ~/.m2/repository: a user without a home has none, and what another tool left there is not ours to rely on.
    `-Dmaven.repo.local=${join(options.cacheFolder, 'maven', 'repository')}`,
    `${plugin}:copy`,
    `-Dartifact=${id}`,
    `-DoutputDirectory=${folder}`,
  ];
  try {
    await run(program, args, {
      cwd: options.temporaryFolder,
      timeout: patience,
      signal: options.signal,
      accept: [0, 1],
    }).then((done) => {
      if (done.code !== 0) throw fetchFault(options, id, done.stdout.toString('utf8') + done.stderr);
    });
  } catch (error) {
    if (!(error instanceof ProcessFault)) throw error;
    const what =
      error.code === 'process/timed-out' ? `did not come within ${patience / 1000} s` : 'could not be fetched';
    throw new BuildFault('build/fetch-failed', `${id}, which ${options.wanted} needs, ${what}`, {
      ...place,
      notes: error.notes,
      next: 'see that the network and the settings of mvn (~/.m2/settings.xml) are right, and build again',
      cause: error,
    });
  }
}

function fetchFault({ wanted, place }: FetchOptions, id: string, output: string): BuildFault {
  const lines = output
    .replace(/\x1b\[[0-9;]*m/g, '')
    .split('\n')
    .filter((line) => line.startsWith('[ERROR]') && line.length > '[ERROR] '.length)
    .filter(
      (line) => !/Re-run Maven|full stack trace|Help 1|For more information/.test(line) || line.includes('Failed'),
    );
  const gone = /Could not find artifact/.test(output);
  return new BuildFault(
    'build/fetch-failed',
    gone
      ? `no repository that mvn knows has ${id}, which ${wanted} needs`
      : `${id}, which ${wanted} needs, could not be fetched`,
    {
      ...(place !== undefined && { place }),
      notes: lines.length === 0 ? [] : [lines.join('\n')],
      next: gone
        ? 'correct the id, or lock another version with its sum'
        : 'see that the network and the settings of mvn (~/.m2/settings.xml) are right, and build again',
    },
  );
}
