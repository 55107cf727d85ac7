import { ImageFault } from '../fault.ts';

export interface LockedPackage {
  readonly version: string;
  /** `amd64`, or `all`. */
  readonly architecture: string;
  /** Of the .deb, hex. */
  readonly sha256: string;
  /** Bytes of the .deb. */
  readonly size: number;
  /** Names in the same lock, those of `with` left out: the lock has no cycles. */
  readonly depends: readonly string[];
  /** The others that this one and they themselves depend on in a circle, such as libc6 and libgcc-s1: had together or not at all. */
  readonly with: readonly string[];
}

/** debian.lock.json: written by `banksman lock debian`, read here and by the build_defs. It names no mirror: any will do. */
export interface DebianLock {
  readonly format: 1;
  readonly suite: string;
  readonly architecture: string;
  readonly requested: readonly string[];
  readonly exclude: readonly string[];
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** Sorted, one package after the other, with a final newline: the same lock is the same text, and diffs are short. */
export function formatDebianLock(lock: DebianLock): string {
  const packages = Object.fromEntries(
    Object.keys(lock.packages)
      .sort()
      .map((name) => {
        const { version, architecture, sha256, size, depends, with: circle } = lock.packages[name] as LockedPackage;
        const entry = { version, architecture, sha256, size, depends: [...depends].sort() };
        return [name, circle.length === 0 ? entry : { ...entry, with: [...circle].sort() }];
      }),
  );
  const { format, suite, architecture } = lock;
  const whole = {
    format,
    suite,
    architecture,
    requested: [...lock.requested].sort(),
    exclude: [...lock.exclude].sort(),
    packages,
  };
  return `${JSON.stringify(whole, undefined, 2)}\n`;
}

/**
 * @param file path for the fault
 * @throws ImageFault image/bad-lock
 */
export function parseDebianLock(text: string, file: string): DebianLock {
  const bad = (why: string) =>
    new ImageFault('image/bad-lock', `${file} ${why}`, {
      place: { file, source: text },
      next: 'run: banksman lock debian',
    });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw bad(`is not JSON: ${(cause as Error).message}`);
  }
  const lock = object(json, bad);
  if (lock.format !== 1) throw bad(`has the format ${JSON.stringify(lock.format)}, 1 is what this version reads`);
  const { suite, architecture } = lock;
  if (typeof suite !== 'string' || typeof architecture !== 'string') throw bad('has no suite and architecture');
  const packages: Record<string, LockedPackage> = {};
  for (const [name, value] of Object.entries(object(lock.packages, bad))) {
    if (!/^[a-z0-9][a-z0-9+.-]+$/.test(name)) throw bad(`has a package with the name ${JSON.stringify(name)}`);
    packages[name] = lockedPackage(name, object(value, bad), bad);
  }
  for (const [name, { depends, with: circle }] of Object.entries(packages)) {
    for (const other of [...depends, ...circle])
      if (!Object.hasOwn(packages, other)) throw bad(`has no package ${other}, which ${name} depends on`);
  }
  const requested = names(lock.requested, 'requested', bad);
  for (const name of requested)
    if (!Object.hasOwn(packages, name)) throw bad(`has no package ${name}, which was asked for`);
  return { format: 1, suite, architecture, requested, exclude: names(lock.exclude, 'exclude', bad), packages };
}

type Bad = (why: string) => ImageFault;

function lockedPackage(name: string, value: Readonly<Record<string, unknown>>, bad: Bad): LockedPackage {
  const { version, architecture, sha256, size } = value;
  if (typeof version !== 'string' || !/^[0-9][A-Za-z0-9.+:~-]*$/.test(version))
    throw bad(`has no usable version of ${name}`);
  if (typeof architecture !== 'string' || !/^[a-z0-9]+$/.test(architecture))
    throw bad(`has no usable architecture of ${name}`);
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) throw bad(`has no usable sha256 of ${name}`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size <= 0) throw bad(`has no usable size of ${name}`);
  const depends = names(value.depends, `depends of ${name}`, bad);
  const circle = value.with === undefined ? [] : names(value.with, `with of ${name}`, bad);
  return { version, architecture, sha256, size, depends, with: circle };
}

function names(value: unknown, what: string, bad: Bad): string[] {
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string'))
    throw bad(`has no list of names as ${what}`);
  return value;
}

function object(value: unknown, bad: Bad): Readonly<Record<string, unknown>> {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw bad('has something other than an object where one belongs');
  return value as Readonly<Record<string, unknown>>;
}
