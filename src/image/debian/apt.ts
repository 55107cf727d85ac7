import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, withLock, writeAtomically } from '../../disk/index.ts';
import { ProcessFault, run } from '../../process/index.ts';
import type { Progress } from '../../progress/index.ts';
import { ImageFault } from '../fault.ts';
import { debianArchitecture, machineArchitecture } from '../platform.ts';
import { type Paragraph, parseParagraphs } from './control.ts';
import { aptSources, type DebianSource, formatSources } from './sources.ts';

/** What apt knows of a version of a package. */
export interface Offer {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly sha256: string;
  /** Bytes of the .deb. */
  readonly size: number;
  /** The whole paragraph: dependencies, what it provides. */
  readonly paragraph: Paragraph;
}

/**
 * The system's package client with a state of its own below the cache folder: it needs no root, sees only Debian's
 * archive, believes that nothing is installed, and changes nothing of the system.
 */
export interface Apt {
  /** Brings the lists of packages up to date, unless that happened less than `maximumAge` ms ago, by whichever process. */
  update(maximumAge: number): Promise<void>;
  /** All offered versions of the named packages; names that nobody knows are left out. */
  show(names: readonly string[]): Promise<Offer[]>;
  /** Names and versions that installing these would install, Recommends not counted. */
  resolve(names: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Downloads `name=version` into the folder. */
  download(packages: readonly { readonly name: string; readonly version: string }[], folder: string): Promise<void>;
}

export interface AptOptions {
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds for one call; a download of hundreds of megabytes over a slow line ends in this. */
const timeout = 30 * 60 * 1000;

/** @throws ImageFault image/no-debian-source, image/package-client */
export async function openApt(source: DebianSource, options: AptOptions): Promise<Apt> {
  const { progress, signal } = options;
  const architecture = source.architecture ?? debianArchitecture(machineArchitecture());
  const sources = formatSources(await aptSources(source));
  const key = createHash('sha256').update(`${architecture}\n${sources}`).digest('hex').slice(0, 16);
  const folder = cacheFolder('apt', key);
  const configuration = join(folder, 'apt.conf');
  const stamp = join(folder, 'updated');
  await writeState(folder, sources);
  await writeAtomically(configuration, aptConfiguration(folder, architecture, await systemAcquire(signal)));

  const env = { ...process.env, APT_CONFIG: configuration, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
  const apt = async (program: string, args: readonly string[], more: Partial<Parameters<typeof run>[2]> = {}) =>
    run(program, args, { env, timeout, ...(signal && { signal }), ...more });

  async function updatedAt(): Promise<number> {
    return (await stat(stamp).catch(() => undefined))?.mtimeMs ?? 0;
  }

  async function update(maximumAge: number): Promise<void> {
    const fresh = async (from: number) => (await updatedAt()) > from;
    const oldest = Date.now() - maximumAge;
    if (await fresh(oldest)) return;
    await withLock(join(folder, 'update.lock'), async () => {
      // Another process may have done it while this one waited.
      if (await fresh(oldest)) return;
      const task = progress.begin(`Debian ${source.suite}: list of packages`);
      try {
        await apt('apt-get', ['update', '-q', ...statusOptions('APT::Update::Error-Mode=any')], {
          onStderr: tell(task),
        });
        await writeFile(stamp, '');
        await utimes(stamp, new Date(), new Date());
        task.done();
      } catch (error) {
        task.fail();
        throw clientFault(error, `the list of ${source.suite} packages can't be brought up to date`);
      }
    });
  }

  async function show(names: readonly string[]): Promise<Offer[]> {
    const wanted = new Set(names.map(checkedName));
    if (wanted.size === 0) return [];
    try {
      // 100: one of them is unknown; the others are shown all the same.
      const { stdout } = await apt('apt-cache', ['show', '--all-versions', ...wanted], { accept: [0, 100] });
      return parseParagraphs(stdout.toString('utf8'))
        .flatMap(toOffer)
        .filter(({ name }) => wanted.has(name));
    } catch (error) {
      throw clientFault(error, "the list of packages can't be read");
    }
  }

  async function resolve(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const wanted = names.map(checkedName);
    const known = new Set((await show(wanted)).map(({ name }) => name));
    const unknown = wanted.filter((name) => !known.has(name));
    if (unknown.length > 0) {
      throw new ImageFault(
        'image/package-unknown',
        `${source.suite} has no package ${unknown.join(', ')} for ${architecture}`,
        {
          next: 'look the name up with apt-cache search; a virtual package needs the name of one that provides it',
        },
      );
    }
    try {
      const { stdout } = await apt('apt-get', ['install', '--simulate', '--no-install-recommends', '-y', ...wanted]);
      const found = new Map<string, string>();
      for (const [, name, version] of stdout.toString('utf8').matchAll(/^Inst ([^\s:]+)(?::\S+)? \((\S+) /gm)) {
        if (name !== undefined && version !== undefined) found.set(name, version);
      }
      return found;
    } catch (error) {
      if (!(error instanceof ProcessFault) || error.code !== 'process/failed') throw error;
      throw new ImageFault(
        'image/package-unresolved',
        `the packages ${wanted.join(', ')} can't be installed together`,
        {
          notes: error.notes,
          next: 'leave out or replace one of those that the notes name',
          cause: error,
        },
      );
    }
  }

  async function download(packages: readonly { name: string; version: string }[], into: string): Promise<void> {
    if (packages.length === 0) return;
    const task = progress.begin(
      `Debian ${source.suite}: ${packages.length} package${packages.length === 1 ? '' : 's'}`,
    );
    try {
      const args = packages.map(({ name, version }) => `${checkedName(name)}=${checkedVersion(version)}`);
      await apt('apt-get', ['download', '-q', ...statusOptions(), ...args], { cwd: into, onStderr: tell(task) });
      task.done();
    } catch (error) {
      task.fail();
      throw clientFault(error, `${packages.length} Debian packages can't be downloaded`);
    }
  }

  return { update, show, resolve, download };
}

async function writeState(folder: string, sources: string): Promise<void> {
  for (const part of ['sources.d', 'empty', 'state/lists/partial', 'cache/archives/partial', 'log']) {
    await mkdir(join(folder, part), { recursive: true });
  }
  await writeUnlessSame(join(folder, 'sources.d', 'debian.sources'), sources);
  await writeUnlessSame(join(folder, 'status'), '');
}

/** apt builds its cache anew when a file of its state has a newer time. */
async function writeUnlessSame(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) !== text) await writeAtomically(path, text);
}

/** apt.conf(5). The system's own parts are left out: their hooks (after an update, say) are for its own state. */
function aptConfiguration(folder: string, architecture: string, acquire: string): string {
  const at = (path: string) => JSON.stringify(join(folder, path));
  return `${acquire}
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts ${at('empty')};
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts ${at('sources.d')};
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts ${at('empty')};
Dir::State ${at('state')};
Dir::State::status ${at('status')};
Dir::Cache ${at('cache')};
Dir::Log ${at('log')};
APT::Architecture "${architecture}";
APT::Architectures { "${architecture}"; };
APT::Sandbox::User "root";
APT::Install-Recommends "0";
APT::Default-Release "";
Acquire::Languages "none";
Acquire::Retries "3";
`;
}

/** How this system reaches the network: proxies, time-outs, certificates. */
async function systemAcquire(signal: AbortSignal | undefined): Promise<string> {
  try {
    const { stdout } = await run('apt-config', ['dump'], { timeout: 30_000, ...(signal && { signal }) });
    const lines = stdout.toString('utf8').split('\n');
    return lines
      .filter((line) => /^Acquire::(http|https|ForceIPv[46]|Queue-Mode|By-Hash|AllowInsecure|AllowWeak)/.test(line))
      .join('\n');
  } catch (error) {
    throw clientFault(error, "the system's package client can't be asked for its settings");
  }
}

/** Progress for programs, on standard error: `dlstatus:3:12.5:Retrieving file 3 of 20`. */
function statusOptions(...more: string[]): string[] {
  return ['APT::Status-Fd=2', ...more].flatMap((option) => ['-o', option]);
}

function tell(task: { update(text: string): void }): (text: string) => void {
  return (text) => {
    const last = [...text.matchAll(/^dlstatus:\d+:([\d.]+):(.*)$/gm)].at(-1);
    if (last) task.update(`${Math.floor(Number(last[1]))} %`);
  };
}

function toOffer(paragraph: Paragraph): Offer[] {
  const name = paragraph.get('package');
  const version = paragraph.get('version');
  const architecture = paragraph.get('architecture');
  const sha256 = paragraph.get('sha256');
  const size = Number(paragraph.get('size'));
  if (!name || !version || !architecture || !sha256 || !/^[0-9a-f]{64}$/.test(sha256) || !Number.isSafeInteger(size))
    return [];
  return [{ name, version, architecture, sha256, size, paragraph }];
}

/** Debian Policy 5.6.1: nothing that a program could take for an option. */
export function checkedName(name: string): string {
  if (/^[a-z0-9][a-z0-9+.-]+$/.test(name)) return name;
  throw new ImageFault('image/package-unknown', `${JSON.stringify(name)} can't be the name of a Debian package`);
}

/** Debian Policy 5.6.12. */
function checkedVersion(version: string): string {
  if (/^[0-9][A-Za-z0-9.+:~-]*$/.test(version)) return version;
  throw new ImageFault('image/bad-lock', `${JSON.stringify(version)} can't be the version of a Debian package`);
}

/** What apt says of a suite that a mirror does not have, with signed lists and with trusted ones. */
const noSuite = /ha(?:ve|s) a Release file|Failed to fetch \S+\/dists\/\S+\s+(?:404|File not found)/;

function clientFault(error: unknown, what: string): unknown {
  if (!(error instanceof ProcessFault)) return error;
  const missing = error.code === 'process/not-found';
  return new ImageFault('image/package-client', missing ? `${what}: there is no apt on this system` : what, {
    notes: error.notes.map((note) =>
      note
        .split('\n')
        .filter((line) => !line.startsWith('dlstatus:'))
        .join('\n'),
    ),
    next: missing
      ? 'run this on Debian or Ubuntu, or install apt'
      : error.notes.some((note) => noSuite.test(note))
        ? 'look whether the suite is one that the mirror has, such as bookworm or trixie'
        : 'check the network, and try again',
    cause: error,
  });
}

/** A folder of one's own below the cache, removed afterwards. */
export async function withTemporaryFolder<T>(parent: string, body: (folder: string) => Promise<T>): Promise<T> {
  const folder = join(parent, `tmp-${process.pid}-${randomBytes(6).toString('hex')}`);
  await mkdir(folder, { recursive: true });
  try {
    return await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
