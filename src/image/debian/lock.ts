import type { Progress } from '../../progress/index.ts';
import { ImageFault } from '../fault.ts';
import { debianArchitecture, machineArchitecture } from '../platform.ts';
import { type Apt, type Offer, openApt } from './apt.ts';
import { parseDependencies } from './control.ts';
import { isCached } from './fetch.ts';
import type { DebianLock, LockedPackage } from './lockfile.ts';
import type { DebianSource } from './sources.ts';

export interface LockRequest {
  readonly source: DebianSource;
  readonly packages: readonly string[];
  /** Names left out although something depends on them, and whatever only they need. */
  readonly exclude?: readonly string[] | undefined;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds: a list of packages this old will do for asking whether a version is still offered. */
const listAge = 60 * 60 * 1000;

/**
 * Resolves packages and what they depend on (Depends and Pre-Depends, no Recommends) to one version each, by apt's
 * own resolver on a system where nothing is installed.
 *
 * @throws ImageFault image/package-unknown, image/package-unresolved, image/package-client, image/no-debian-source
 */
export async function lockDebian(request: LockRequest): Promise<DebianLock> {
  const apt = await openApt(request.source, request);
  await apt.update(0);
  return resolveLock(apt, request);
}

/** What became of a package when it was locked anew; `from` is absent where it is new, `to` where it is gone. */
export interface LockChange {
  readonly name: string;
  readonly from?: string;
  readonly to?: string;
}

/**
 * Locks anew only where a locked version is neither in the cache nor offered any more: mirrors drop what security
 * updates replace. With everything in the cache nothing is asked of the network; where the network is away nothing is known
 * to be gone, so the lock stays and this is told: what no build here needs (another architecture's packages, say) has to stop nobody.
 */
export async function refreshGone(request: {
  readonly source: DebianSource;
  readonly lock: DebianLock;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}): Promise<{ readonly lock: DebianLock; readonly changed: readonly LockChange[] }> {
  const { lock } = request;
  const missing: [string, LockedPackage][] = [];
  for (const entry of Object.entries(lock.packages)) if (!(await isCached(entry[1]))) missing.push(entry);
  if (missing.length === 0) return { lock, changed: [] };
  const source = { ...request.source, architecture: lock.architecture };
  const apt = await openApt(source, request);
  try {
    await apt.update(listAge);
  } catch (error) {
    if (!(error instanceof ImageFault) || error.code !== 'image/package-client' || request.signal?.aborted) throw error;
    request.progress.say(
      `${error.message}; whether ${missing.length} of the locked versions for ${lock.architecture} are still offered is not known`,
    );
    return { lock, changed: [] };
  }
  const offers = await apt.show(missing.map(([name]) => name));
  const gone = missing.filter(
    ([name, { sha256 }]) => !offers.some((offer) => offer.name === name && offer.sha256 === sha256),
  );
  if (gone.length === 0) return { lock, changed: [] };
  const fresh = await resolveLock(apt, { ...request, source, packages: lock.requested, exclude: lock.exclude });
  return { lock: fresh, changed: changes(lock, fresh) };
}

async function resolveLock(apt: Apt, request: LockRequest): Promise<DebianLock> {
  const requested = [...new Set(request.packages)].sort();
  const excluded = new Set(request.exclude);
  const versions = await apt.resolve(requested);
  for (const name of requested) {
    if (!versions.has(name)) {
      throw new ImageFault('image/package-unknown', `${name} is a virtual package`, {
        next: 'name a package that provides it',
      });
    }
    if (excluded.has(name)) throw new ImageFault('image/package-unresolved', `${name} is both asked for and excluded`);
  }
  const offers = chosenOffers(await apt.show([...versions.keys()]), versions);
  for (const name of excluded) {
    if (!offers.has(name)) request.progress.say(`exclude names ${name}, which nothing here depends on`);
  }
  const packages: Record<string, LockedPackage> = {};
  const depends = new Map([...offers].map(([name, offer]) => [name, dependenciesOf(offer, offers, excluded)]));
  for (const name of [...reachable(requested, depends)].sort()) {
    const { version, architecture, sha256, size } = offers.get(name) as Offer;
    const circle = circleOf(name, depends);
    const others = (depends.get(name) ?? []).filter((other) => !circle.includes(other));
    packages[name] = { version, architecture, sha256, size, depends: others, with: circle };
  }
  return {
    format: 1,
    suite: request.source.suite,
    architecture: architectureOf(request.source),
    requested,
    exclude: [...excluded].sort(),
    packages,
  };
}

function chosenOffers(all: readonly Offer[], versions: ReadonlyMap<string, string>): Map<string, Offer> {
  const chosen = new Map<string, Offer>();
  for (const offer of all) if (versions.get(offer.name) === offer.version) chosen.set(offer.name, offer);
  for (const name of versions.keys()) {
    if (!chosen.has(name))
      throw new ImageFault(
        'image/package-unresolved',
        `apt chose ${name} ${versions.get(name)} and doesn't know its sum`,
      );
  }
  return chosen;
}

/** Each dependency is the first alternative that was chosen, under its own name or as something that provides it. */
function dependenciesOf(offer: Offer, offers: ReadonlyMap<string, Offer>, excluded: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  for (const field of ['pre-depends', 'depends']) {
    for (const alternatives of parseDependencies(offer.paragraph.get(field) ?? '')) {
      const name = alternatives
        .map((alternative) => providerOf(alternative, offers))
        .find((provider) => provider !== undefined);
      if (name === undefined) {
        throw new ImageFault(
          'image/package-unresolved',
          `apt chose nothing for ${alternatives.join(' | ')}, which ${offer.name} needs`,
        );
      }
      if (name !== offer.name && !excluded.has(name)) found.add(name);
    }
  }
  return [...found].sort();
}

function providerOf(name: string, offers: ReadonlyMap<string, Offer>): string | undefined {
  if (offers.has(name)) return name;
  return [...offers.values()]
    .filter(({ paragraph }) => parseDependencies(paragraph.get('provides') ?? '').some((group) => group.includes(name)))
    .map((offer) => offer.name)
    .sort()[0];
}

/** The packages that a package depends on and that depend on it in turn, however far. */
function circleOf(name: string, depends: ReadonlyMap<string, readonly string[]>): string[] {
  return [...reachable(depends.get(name) ?? [], depends)]
    .filter((other) => other !== name && reachable([other], depends).has(name))
    .sort();
}

function reachable(from: readonly string[], depends: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const open = [...from];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    open.push(...(depends.get(name) ?? []));
  }
  return seen;
}

function architectureOf(source: DebianSource): string {
  return source.architecture ?? debianArchitecture(machineArchitecture());
}

function changes(before: DebianLock, after: DebianLock): LockChange[] {
  const names = [...new Set([...Object.keys(before.packages), ...Object.keys(after.packages)])].sort();
  return names.flatMap((name) => {
    const from = before.packages[name];
    const to = after.packages[name];
    if (from?.sha256 === to?.sha256) return [];
    return [{ name, ...(from && { from: from.version }), ...(to && { to: to.version }) }];
  });
}
