import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Place } from '../../fault/index.ts';
import { ProcessFault, run } from '../../process/index.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { LockedPackage } from './lock.ts';

/** Milliseconds for all packages of a target. */
const patience = 900_000;
/** Packages that one start of the client brings: far below what a command line may hold. */
const batch = 100;

export interface FetchOptions {
  /** `npm` below it keeps what was fetched once, by its sum. */
  readonly cacheFolder: string;
  readonly signal: AbortSignal;
  /** Who wants it, for errors. */
  readonly wanted: string;
  readonly place?: Place | undefined;
}

/**
 * Brings the archives of packages with npm, which goes by the user's own settings (.npmrc, npm_config_registry), and holds each against
 * its sum. `npm pack` runs no script of a package.
 *
 * @returns where each one is kept. Nothing may be written there
 * @throws BuildFault build/fetch-failed, build/hash-mismatch, build/tool-not-found
 */
export async function fetchPackages(
  packages: readonly LockedPackage[],
  options: FetchOptions,
): Promise<ReadonlyMap<LockedPackage, string>> {
  const kept = (one: LockedPackage) => join(options.cacheFolder, 'npm', keptName(one));
  const missing = new Map<string, LockedPackage>();
  for (const one of packages) {
    if (!(await hasSum(kept(one), one.integrity))) missing.set(kept(one), one);
  }
  while (missing.size > 0) {
    // Two packages can have the same file name: these are fetched one after the other.
    const together = new Map<string, LockedPackage>();
    for (const [path, one] of missing) {
      if (together.size < batch && !together.has(archiveName(one))) {
        together.set(archiveName(one), one);
        missing.delete(path);
      }
    }
    await fetchBatch(together, kept, options);
  }
  return new Map(packages.map((one) => [one, kept(one)]));
}

async function fetchBatch(
  /** By the name of the archive. */
  wanted: ReadonlyMap<string, LockedPackage>,
  kept: (one: LockedPackage) => string,
  options: FetchOptions,
): Promise<void> {
  const place = options.place === undefined ? {} : { place: options.place };
  const npm = await resolveTool('npm');
  const work = await mkdtemp(join(tmpdir(), 'banksman-npm-'));
  try {
    const specs = [...wanted.values()].map(specOf);
    const args = ['pack', '--loglevel=error', '--ignore-scripts', '--pack-destination', work, '--', ...specs];
    await run(npm.path, args, { cwd: work, timeout: patience, signal: options.signal }).catch((error: unknown) => {
      if (!(error instanceof ProcessFault)) throw error;
      throw new BuildFault('build/fetch-failed', `npm can't bring what ${options.wanted} needs`, {
        ...place,
        notes: error.notes,
        next: 'look at what npm says; its settings (.npmrc, npm_config_registry) are your own',
      });
    });
    await mkdir(join(options.cacheFolder, 'npm'), { recursive: true });
    for (const [name, one] of wanted) {
      const archive = join(work, name);
      if (!(await hasSum(archive, one.integrity))) {
        throw new BuildFault('build/hash-mismatch', `${specOf(one)} has another sum than ${options.wanted} locks`, {
          ...place,
          notes: [`locked: ${one.integrity}`],
          next: 'find out why it is another content (a mirror, a changed version); if it is right, lock it anew with npm install',
        });
      }
      const made = `${kept(one)}.${process.pid}`;
      await copyFile(archive, made);
      await rename(made, kept(one));
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function specOf({ name, version }: LockedPackage): string {
  return `${name}@${version}`;
}

/** Under which name `npm pack` leaves it. */
function archiveName({ name, version }: LockedPackage): string {
  return `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`;
}

/** What has been checked once was checked as this very package. */
function keptName(one: LockedPackage): string {
  return `${createHash('sha256')
    .update(`${specOf(one)} ${one.integrity}`)
    .digest('hex')}.tgz`;
}

/** Whether a file has one of the sums. Of several the strongest counts, as Subresource Integrity says. */
async function hasSum(path: string, integrity: string): Promise<boolean> {
  if ((await stat(path).catch(() => undefined)) === undefined) return false;
  const sums = integrity.split(' ').map((sum) => sum.split('-', 1)[0] ?? '');
  const algorithm = ['sha512', 'sha384', 'sha256', 'sha1'].find((each) => sums.includes(each));
  if (algorithm === undefined) return false;
  const hash = createHash(algorithm);
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return integrity.split(' ').includes(`${algorithm}-${hash.digest('base64')}`);
}
