import { chmod, mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, withLock } from '../../disk/index.ts';
import type { Place } from '../../fault/index.ts';
import type { Progress } from '../../progress/index.ts';
import type { LayerFile } from '../assemble.ts';
import type { Digest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { hashFile } from '../store.ts';
import { type Apt, openApt, withTemporaryFolder } from './apt.ts';
import { type DebianLayerOptions, debianLayer } from './layer.ts';
import type { DebianSource } from './sources.ts';

/** A package as a lock has it. */
export interface PackageRequest {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Of the .deb, hex. */
  readonly sha256: string;
  /** Bytes of the .deb. */
  readonly size: number;
}

export interface FetchRequest {
  readonly source: DebianSource;
  readonly packages: readonly PackageRequest[];
  /** What asks for them (the lock file, or the target), for faults. */
  readonly place?: Place | undefined;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds: older lists are brought up to date before a version counts as gone. */
const listAge = 60 * 1000;

function cachedDeb(sha256: string): string {
  return cacheFolder('debian', `${sha256}.deb`);
}

/** Whether the .deb lies in the cache; what does not have its size does not count. */
export async function isCached({ sha256, size }: { readonly sha256: string; readonly size: number }): Promise<boolean> {
  return (await stat(cachedDeb(sha256)).catch(() => undefined))?.size === size;
}

/**
 * Brings those .debs that are not in the cache in one call of the package client, which is far quicker than one call
 * each: ask for all packages of a build here before their layers are made one by one.
 *
 * @returns paths of the .debs by the package's name
 * @throws ImageFault image/package-gone, image/package-client, image/wrong-content, image/no-debian-source
 */
export async function fetchPackages(request: FetchRequest): Promise<ReadonlyMap<string, string>> {
  const missing = async () => {
    const found: PackageRequest[] = [];
    for (const each of request.packages) if (!(await isCached(each))) found.push(each);
    return found;
  };
  if ((await missing()).length > 0) {
    await mkdir(cacheFolder('debian'), { recursive: true });
    await withLock(cacheFolder('debian', 'download.lock'), async () => {
      // Another process may have brought them while this one waited.
      const wanted = await missing();
      if (wanted.length > 0) await download(request, wanted);
    });
  }
  return new Map(request.packages.map(({ name, sha256 }) => [name, cachedDeb(sha256)]));
}

/**
 * The builtin action `debian_package`: writes the package's layer to `output`. The .deb comes from the cache or, where
 * it is not there, from Debian; its sum is checked in either case.
 */
export async function makeDebianPackageLayer(
  request: Omit<FetchRequest, 'packages'> & {
    readonly package: PackageRequest;
    readonly output: string;
    readonly options?: DebianLayerOptions;
  },
): Promise<LayerFile & { readonly digest: Digest; readonly size: number; readonly createdBy: string }> {
  const { name, sha256 } = request.package;
  const paths = await fetchPackages({ ...request, packages: [request.package] });
  const deb = paths.get(name) ?? cachedDeb(sha256);
  const { digest } = await hashFile(deb);
  if (digest !== `sha256:${sha256}`) {
    throw new ImageFault('image/wrong-content', `${deb} is damaged: it has another sum than its name says`, {
      next: 'remove that file, and try again; check the disk',
    });
  }
  const layer = await debianLayer(deb, request.output, request.options);
  if (layer.name !== name || layer.version !== request.package.version) {
    throw new ImageFault(
      'image/bad-lock',
      `the sum that is locked for ${name} ${request.package.version} is that of ${layer.name} ${layer.version}`,
      {
        place: request.place,
        next: 'run: banksman lock debian',
      },
    );
  }
  return {
    path: layer.path,
    digest: layer.digest,
    size: layer.size,
    createdBy: `debian ${layer.name} ${layer.version}`,
  };
}

/** Each architecture has lists of its own; what is for all of them comes with the first. */
async function download(request: FetchRequest, wanted: readonly PackageRequest[]): Promise<void> {
  const common = wanted.filter(({ architecture }) => architecture === 'all');
  const native = Map.groupBy(
    wanted.filter(({ architecture }) => architecture !== 'all'),
    ({ architecture }) => architecture,
  );
  if (native.size === 0) return downloadOf(request, common, request.source);
  for (const [index, [architecture, packages]] of [...native].entries()) {
    const source = { ...request.source, architecture };
    await downloadOf(request, index === 0 ? [...packages, ...common] : packages, source);
  }
}

async function downloadOf(
  request: FetchRequest,
  wanted: readonly PackageRequest[],
  source: DebianSource,
): Promise<void> {
  const apt = await openApt(source, request);
  // Any list will do at first, however old, if it knows the versions.
  await apt.update(Number.POSITIVE_INFINITY);
  if ((await goneOf(apt, wanted)).length > 0) {
    await apt.update(listAge);
    const gone = await goneOf(apt, wanted);
    if (gone.length > 0) throw goneFault(request, gone);
  }
  await withTemporaryFolder(cacheFolder('debian'), async (folder) => {
    try {
      await apt.download(wanted, folder);
    } catch (error) {
      // A list that is older than the mirror names files that are there no more: with a fresh one the reason shows.
      if (!(error instanceof ImageFault) || error.code !== 'image/package-client') throw error;
      await apt.update(0);
      const gone = await goneOf(apt, wanted);
      if (gone.length > 0) throw goneFault(request, gone);
      await apt.download(wanted, folder);
    }
    for (const each of wanted) await takeIn(folder, each);
  });
}

async function takeIn(folder: string, { name, version, architecture, sha256, size }: PackageRequest): Promise<void> {
  const path = join(folder, `${name}_${version.replaceAll(':', '%3a')}_${architecture}.deb`);
  const found = await hashFile(path).catch(() => undefined);
  if (found === undefined)
    throw new ImageFault('image/package-client', `apt did not bring ${name} ${version}, and did not say why`);
  if (found.digest !== `sha256:${sha256}` || found.size !== size) {
    throw new ImageFault(
      'image/wrong-content',
      `${name} ${version} has the sum ${found.digest}, sha256:${sha256} is locked`,
      {
        next: 'find out why the same version has other bytes; then run: banksman lock debian',
      },
    );
  }
  await chmod(path, 0o444);
  await rename(path, cachedDeb(sha256));
}

interface Gone {
  readonly name: string;
  readonly version: string;
  readonly offered: readonly string[];
}

async function goneOf(apt: Apt, wanted: readonly PackageRequest[]): Promise<Gone[]> {
  const offers = await apt.show(wanted.map(({ name }) => name));
  return wanted.flatMap(({ name, version }) => {
    const offered = offers.filter((offer) => offer.name === name).map((offer) => offer.version);
    return offered.includes(version) ? [] : [{ name, version, offered }];
  });
}

function goneFault({ source, place }: FetchRequest, gone: readonly Gone[]): ImageFault {
  const [first, ...more] = gone as [Gone, ...Gone[]];
  const and = more.length === 0 ? '' : `, and ${more.length} more locked package${more.length === 1 ? '' : 's'}`;
  return new ImageFault(
    'image/package-gone',
    `${first.name} ${first.version}${and}: no longer offered by Debian ${source.suite}`,
    {
      place,
      notes: gone.map(
        ({ name, version, offered }) => `${name}: locked ${version}, offered ${offered.join(', ') || 'none'}`,
      ),
      next: 'run: banksman lock debian',
    },
  );
}
