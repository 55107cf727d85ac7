import type { Target } from '../../graph/index.ts';
import { configValue } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinRequest } from '../types.ts';

/** A package as package-lock.json has it: docs.npmjs.com, "package-lock.json", `packages`. */
export interface LockedPackage {
  /** Where it lies: `node_modules/a/node_modules/@scope/b`. */
  readonly path: string;
  readonly name: string;
  readonly version: string;
  /** Sum in the form of Subresource Integrity (W3C): `sha512-...`. Several may stand in a row. */
  readonly integrity: string;
}

/** No part of a name begins with a dot, so that no path leads upwards; no name with a dash, as options do. */
const part = String.raw`(?:@[a-z0-9~_-][\w.~-]*\/)?[A-Za-z0-9~_][\w.~-]*`;
const pathForm = new RegExp(`^node_modules/${part}(?:/node_modules/${part})*$`);
const nameForm = new RegExp(`^${part}$`);
const versionForm = /^[0-9][\w.+-]*$/;
const sumForm = /^(?:sha512|sha384|sha256|sha1)-[A-Za-z0-9+/]+={0,2}$/;

/**
 * The packages that the rule took from the lock.
 *
 * @throws BuildFault build/bad-config, build/unlocked for what has no sum: only packages of a registry have one
 */
export function lockedPackages(request: Pick<BuiltinRequest, 'target' | 'config'>): LockedPackage[] {
  const { target } = request;
  const given = configValue(request, 'packages');
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new BuildFault('build/bad-config', `packages of ${target.label} has to be a dictionary`, {
      place: target.place,
    });
  }
  return Object.entries(given as Record<string, Readonly<Record<string, unknown>>>).map(([path, entry]) => {
    const { version, integrity = '' } = entry;
    const name = entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (!pathForm.test(path) || !matches(name, nameForm) || !matches(version, versionForm)) {
      throw bad(target, `the lock of ${target.label} has the entry ${path}, which names no package of a registry`);
    }
    const sums = typeof integrity === 'string' ? integrity.split(/\s+/).filter(Boolean) : [];
    if (sums.length === 0 || !sums.every((sum) => sumForm.test(sum))) {
      throw new BuildFault('build/unlocked', `${path} has no sum in the lock of ${target.label}`, {
        place: target.place,
        next: 'take it from a registry (npm install writes its sum as `integrity`), or leave it out with `exclude`',
      });
    }
    return { path, name, version, integrity: sums.join(' ') };
  });
}

function matches(value: unknown, form: RegExp): value is string {
  return typeof value === 'string' && form.test(value);
}

function bad(target: Target, message: string): BuildFault {
  return new BuildFault('build/bad-config', message, {
    place: target.place,
    next: 'write the lock with npm install, or leave the entry out with `exclude`',
  });
}
