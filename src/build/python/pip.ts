import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Place } from '../../fault/index.ts';
import { ProcessFault, type RunResult, run } from '../../process/index.ts';
import { hashFile } from '../blobs.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';

/** Milliseconds for one library. */
const patience = 300_000;

export interface WantedWheel {
  readonly name: string;
  readonly version: string;
  /** SHA-256 sums of the wheels that it may be: one for each kind of machine. */
  readonly hashes: readonly string[];
  /** Further arguments of pip. */
  readonly flags: readonly string[];
}

export interface PipOptions {
  /** `python` below it keeps what was fetched once. */
  readonly cacheFolder: string;
  readonly signal: AbortSignal;
  /** Who wants it, for errors. */
  readonly wanted: string;
  readonly place?: Place | undefined;
}

/** Which of a library's wheels pip takes depends on this. */
export async function pipIdentity(): Promise<string> {
  return (await resolveTool('python3')).identity;
}

/**
 * Brings a wheel with pip, which goes by the user's own settings (pip.conf, PIP_INDEX_URL), and checks its sum. Wheels only: to build a
 * library from its sources is to run whatever these say.
 *
 * @returns its path. Nothing may be written to it
 * @throws BuildFault build/fetch-failed, build/hash-mismatch, build/bad-config
 */
export async function fetchWheel(what: WantedWheel, options: PipOptions): Promise<string> {
  check(what, options);
  const hashes = what.hashes.map((each) => each.replace(/^sha256:\s*/, '').toLowerCase()).sort();
  const key = JSON.stringify([what.name, what.version, hashes, await pipIdentity()]);
  const kept = join(options.cacheFolder, 'python', `${createHash('sha256').update(key).digest('hex')}.whl`);
  if (await isWhole(kept, hashes)) return kept;
  const work = await mkdtemp(join(tmpdir(), 'banksman-pip-'));
  try {
    const list = join(work, 'requirements.txt');
    await writeFile(list, `${requirement(what)} ${hashes.map((hash) => `--hash=sha256:${hash}`).join(' ')}\n`);
    const fetched = join(work, 'fetched');
    const args = ['download', ...common, '--require-hashes', ...what.flags, '--requirement', list, '--dest', fetched];
    const done = await pip(args, what, options);
    if (done.code !== 0) throw explain(done.stderr + done.stdout.toString('utf8'), what, options);
    const [name] = await readdir(fetched);
    if (name === undefined) throw explain('it brought nothing', what, options);
    await mkdir(dirname(kept), { recursive: true });
    const made = `${kept}.${process.pid}`;
    await copyFile(join(fetched, name), made);
    if (!(await isWhole(made, hashes))) throw explain('DO NOT MATCH THE HASHES', what, options);
    await rename(made, kept);
    return kept;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const common = ['--disable-pip-version-check', '--no-input', '--quiet', '--no-deps', '--only-binary', ':all:'];

export interface LockedWheel {
  /** File name of the wheel, which says what machines it is for. */
  readonly file: string;
  readonly sha256: string;
  /** Names of the libraries that it says it needs. */
  readonly needs: readonly string[];
}

/** Asks pip which wheel it would take on this machine. */
export async function findWheel(what: Omit<WantedWheel, 'hashes'>, options: PipOptions): Promise<LockedWheel> {
  const wanted = { ...what, hashes: [] };
  check(wanted, options);
  const work = await mkdtemp(join(tmpdir(), 'banksman-pip-'));
  try {
    const report = join(work, 'report.json');
    // With a target folder a system whose packages pip may not touch does not refuse; nothing is installed.
    const dry = ['--dry-run', '--ignore-installed', '--target', join(work, 'target'), '--report', report];
    const done = await pip(['install', ...common, ...dry, ...what.flags, requirement(what)], wanted, options);
    if (done.code !== 0) throw explain(done.stderr + done.stdout.toString('utf8'), wanted, options);
    // pip documents the form: "Installation Report".
    const { install } = JSON.parse(await readFile(report, 'utf8')) as PipReport;
    const found = install[0];
    if (found === undefined) throw explain('pip found nothing', wanted, options);
    const { url, archive_info: archive } = found.download_info;
    const sha256 = archive?.hashes?.sha256 ?? (await sumOf(url, wanted, options, join(work, 'fetched')));
    const needs = (found.metadata.requires_dist ?? [])
      .filter((line) => !/\bextra\s*==/.test(line) && isForLinux(line))
      .map((line) => normalName(/^[\w.-]+/.exec(line)?.[0] ?? line));
    return {
      file: decodeURIComponent(found.download_info.url.split('/').at(-1) ?? ''),
      sha256,
      needs: [...new Set(needs)],
    };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** An index without sums, and a folder: the wheel has to be had to know it. */
async function sumOf(url: string, what: WantedWheel, options: PipOptions, folder: string): Promise<string> {
  if (url.startsWith('file:')) return hashFile(fileURLToPath(url));
  const done = await pip(['download', ...common, ...what.flags, '--dest', folder, requirement(what)], what, options);
  const [name] = done.code === 0 ? await readdir(folder) : [];
  if (name === undefined) throw explain(done.stderr + done.stdout.toString('utf8'), what, options);
  return hashFile(join(folder, name));
}

interface PipReport {
  readonly install: readonly {
    readonly download_info: {
      readonly url: string;
      readonly archive_info?: { readonly hashes?: { readonly sha256?: string } };
    };
    readonly metadata: { readonly requires_dist?: readonly string[] };
  }[];
}

/** Conditions that no machine here fulfils; others are left to whoever reads the words. */
function isForLinux(line: string): boolean {
  return !/(sys_platform|platform_system|os_name)\s*==\s*["'](win32|cygwin|darwin|Windows|Darwin|nt)["']/.test(line);
}

/** PEP 503: names are the same in small letters, with `-` for what parts words. */
export function normalName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

function requirement({ name, version }: { readonly name: string; readonly version: string }): string {
  return `${name}==${version}`;
}

function check({ name, version, hashes }: WantedWheel, options: PipOptions): void {
  const bad = (message: string, next: string) =>
    new BuildFault('build/bad-config', message, { ...(options.place !== undefined && { place: options.place }), next });
  if (!/^[A-Za-z0-9][\w.-]*(\[[\w,.-]*\])?$/.test(name) || !/^[A-Za-z0-9][\w.+!-]*$/.test(version)) {
    throw bad(
      `${options.wanted} wants ${name} at ${version}, which names no library`,
      'write its name and version as on PyPI',
    );
  }
  for (const hash of hashes) {
    if (!/^(sha256:\s*)?[0-9a-fA-F]{64}$/.test(hash)) {
      throw bad(
        `${options.wanted} has the sum ${hash}, which is no SHA-256 sum of a wheel`,
        'write 64 hexadecimal digits',
      );
    }
  }
}

async function pip(args: readonly string[], what: WantedWheel, options: PipOptions): Promise<RunResult> {
  const python = await resolveTool('python3');
  try {
    return await run(python.path, ['-m', 'pip', ...args], {
      cwd: tmpdir(),
      timeout: patience,
      signal: options.signal,
      accept: [0, 1, 2],
    });
  } catch (error) {
    if (!(error instanceof ProcessFault)) throw error;
    throw explain(error.notes.join('\n'), what, options);
  }
}

function explain(words: string, what: WantedWheel, options: PipOptions): BuildFault {
  const place = options.place === undefined ? {} : { place: options.place };
  const name = `${what.name} ${what.version}`;
  const text = words
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(WARNING|DEPRECATION|\[notice\])/.test(line))
    .join('\n')
    .trim();
  if (/No module named pip\b/.test(text)) {
    return new BuildFault('build/tool-not-found', `${options.wanted} needs pip, which is not installed`, {
      ...place,
      next: 'install it: script/bootstrap does, or apt-get install python3-pip',
    });
  }
  if (/DO NOT MATCH THE HASHES/.test(text)) {
    return new BuildFault('build/hash-mismatch', `the wheel of ${name} has another sum than ${options.wanted} locks`, {
      ...place,
      notes: [text],
      next: 'a wheel for another kind of machine or version of Python is added by banksman lock python; else find out why it is another content',
    });
  }
  if (/No matching distribution|Could not find a version/.test(text)) {
    return new BuildFault(
      'build/fetch-failed',
      `there is no wheel of ${name} for this machine, which ${options.wanted} needs`,
      {
        ...place,
        notes: [text],
        next: 'correct the name or the version; a library that comes as sources only is built into a wheel elsewhere, for a python_wheel',
      },
    );
  }
  return new BuildFault('build/fetch-failed', `${name}, which ${options.wanted} needs, could not be fetched`, {
    ...place,
    notes: [text === '' ? 'pip printed nothing' : text],
    next: 'see that the network and the settings of pip (python3 -m pip config list) are right, and try again',
  });
}

async function isWhole(path: string, hashes: readonly string[]): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined && hashes.includes(await hashFile(path));
}
