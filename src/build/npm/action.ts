import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { configList, refuseUnlocked } from '../config.ts';
import { stripNames } from '../strip.ts';
import type { BuiltinAction } from '../types.ts';
import { fetchPackages } from './fetch.ts';
import { lockedPackages } from './lock.ts';

/** Unpacks pairs of an archive and a folder. What lies at an archive's top is one folder, whatever its name. */
const unpackAll = `while [ $# -gt 0 ]; do
  mkdir -p "$2"
  tar -xzf "$1" -C "$2" --strip-components=1 --no-same-owner --no-same-permissions
  shift 2
done`;

/** Packages of npm, each where the lock puts it: a folder as `node_modules`. Scripts of packages are never run. */
export const npmModules: BuiltinAction = {
  version: '1',
  async run(request) {
    const { target } = request;
    refuseUnlocked(request, 'write the lock with npm install, and commit it');
    const packages = lockedPackages(request);
    request.update(`fetching ${packages.length} packages`);
    const { cacheFolder, signal } = request;
    const archives = await fetchPackages(packages, { cacheFolder, signal, wanted: target.label, place: target.place });
    const folder = join(request.outputFolder, target.outs[0] ?? '');
    await mkdir(folder, { recursive: true });
    request.update(`unpacking ${packages.length} packages`);
    const pairs = [...archives].flatMap(([{ path }, archive]) => [
      archive,
      join(folder, path.slice('node_modules/'.length)),
    ]);
    await request.run({
      program: 'bash',
      args: ['-euo', 'pipefail', '-c', unpackAll, 'bash', ...pairs],
      readable: [join(cacheFolder, 'npm')],
      writable: [folder],
    });
    await stripNames(folder, configList(request, 'strip'));
  },
};
