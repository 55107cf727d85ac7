import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Target } from '../../graph/index.ts';
import { hashFile } from '../blobs.ts';
import { configList, configValue, refuseUnlocked } from '../config.ts';
import { stripNames } from '../strip.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';
import { readZip, unpack } from '../zip/read.ts';
import { fetchWheel, pipIdentity, type WantedWheel } from './pip.ts';

/** Ending of the folder that holds an unpacked wheel: imports start in it. */
export const wheelFolder = '.pylib';
/** Ending of a file that says that its library can't be imported from an archive. */
export const unsafeMark = '.zip-unsafe';

/** Bytes that one file of a wheel may have. */
const largestFile = 2 ** 31 - 1;

/** A library from elsewhere, as a folder: a wheel that pip brings, or that another target gives. */
export const pythonWheel: BuiltinAction = {
  version: '1',
  async key(target) {
    const brought = target.srcs.named.wheel === undefined || target.srcs.named.wheel.length === 0;
    // Which wheel is taken depends on the version of Python.
    return brought ? pipIdentity() : '';
  },
  async run(request) {
    const { target } = request;
    refuseUnlocked(
      request,
      'run banksman lock python, and commit the lock file; or write the sums of its wheels as hashes',
    );
    const folder = join(request.outputFolder, target.outs[0] ?? '');
    const given = request.srcs.named.wheel?.flatMap(({ files }) => files) ?? [];
    const wheels =
      given.length > 0 ? given.map(({ absolute, path }) => ({ absolute, path })) : [await brought(request)];
    for (const { absolute, path } of wheels) await unpackWheel(absolute, path, folder);
    await stripNames(folder, configList(request, 'strip'));
    const below = configValue(request, 'subdirectory');
    if (typeof below === 'string' && below !== '') await moveBelow(folder, below);
    await applyPatches(request, folder);
    await runCommands(request, folder);
    if (configValue(request, 'zip_safe') === false) await writeFile(join(folder, unsafeMark), '');
  },
};

async function brought(request: BuiltinRequest): Promise<{ absolute: string; path: string }> {
  const { target, cacheFolder, signal } = request;
  const wanted = wantedOf(request);
  request.update(`fetching ${wanted.name} ${wanted.version}`);
  const absolute = await fetchWheel(wanted, { cacheFolder, signal, wanted: target.label, place: target.place });
  return { absolute, path: `the wheel of ${wanted.name}` };
}

/**
 * Which of the wheels that a library's lock allows is taken here: the one that the build unpacked. It is kept since then, and brought again
 * where it is not.
 *
 * @returns its SHA-256, in hex
 * @throws BuildFault as `fetchWheel`
 */
export async function sumOfWheel(
  target: Target,
  options: { readonly cacheFolder: string; readonly signal: AbortSignal },
): Promise<string> {
  const config = target.action.kind === 'builtin' ? target.action.config : {};
  return hashFile(
    await fetchWheel(wantedOf({ target, config }), { ...options, wanted: target.label, place: target.place }),
  );
}

function wantedOf(request: Pick<BuiltinRequest, 'target' | 'config'>): WantedWheel {
  const text = (name: string) => String(configValue(request, name) ?? '');
  const list = (name: string) => configList(request, name);
  return { name: text('name'), version: text('version'), hashes: list('hashes'), flags: list('flags') };
}

/**
 * What installing a wheel would put on the path (PEP 427): what lies in it, and what `.data/purelib` and `.data/platlib` hold. Scripts
 * and headers are left out.
 */
async function unpackWheel(path: string, shown: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readZip(path, shown)) {
    if (entry.name.endsWith('/')) continue;
    const data = /^[^/]+\.data\/([^/]+)\/(.*)$/.exec(entry.name);
    if (data !== null && data[1] !== 'purelib' && data[1] !== 'platlib') continue;
    const name = data?.[2] ?? entry.name;
    await mkdir(dirname(join(to, name)), { recursive: true });
    await writeFile(join(to, name), unpack(entry, shown, largestFile), { mode: entry.executable ? 0o755 : 0o644 });
  }
}

async function moveBelow(folder: string, below: string): Promise<void> {
  const aside = `${folder}.aside`;
  await rename(folder, aside);
  const to = join(folder, below);
  await mkdir(dirname(to), { recursive: true });
  await rename(aside, to);
  for (const name of await readdir(to)) {
    if (/\.(dist|egg)-info$/.test(name)) await rm(join(to, name), { recursive: true });
  }
  await writeFile(join(to, '__init__.py'), '', { flag: 'a' });
}

async function applyPatches(request: BuiltinRequest, folder: string): Promise<void> {
  const patches = request.srcs.named.patch?.flatMap(({ files }) => files) ?? [];
  if (patches.length === 0) return;
  const { path: program } = await resolveTool('patch');
  for (const { absolute } of patches) {
    const args = ['--batch', '--no-backup-if-mismatch', '--strip', '0', '--directory', folder, '--input', absolute];
    await request.run({ program, args });
  }
}

async function runCommands(request: BuiltinRequest, folder: string): Promise<void> {
  for (const command of configList(request, 'commands')) {
    request.update('running what follows the installation');
    await request.run({ program: 'bash', args: ['-euo', 'pipefail', '-c', command], folder });
  }
}
