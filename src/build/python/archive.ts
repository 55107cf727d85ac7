import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltFile, BuiltinRequest } from '../types.ts';
import { stored, writeZip, type ZipEntry } from '../zip/write.ts';
import { unsafeMark, wheelFolder } from './wheel.ts';

/** Modules and other files by their path in the archive, which is where imports start. */
export interface Contents {
  readonly entries: Map<string, ZipEntry>;
  /** They can be imported from the archive as it is: none is a library of C, and none was said not to be. */
  zipSafe: boolean;
}

const nativeLibrary = /\.(so(\.\d+)*|pyd|dylib)$/;

/**
 * The target's own files and those of all libraries that it needs: each at its path in the workspace, what comes from elsewhere at its
 * own. Of two with one path the first counts, and the target's own before all.
 */
export async function gather(request: BuiltinRequest): Promise<Contents> {
  const contents: Contents = { entries: new Map(), zipSafe: true };
  const own = request.srcs.all.flatMap(({ files }) => files);
  for (const file of [...own, ...request.deps.flatMap(({ files }) => files)]) await add(contents, file);
  return contents;
}

async function add(contents: Contents, file: BuiltFile): Promise<void> {
  if (file.kind === 'file') {
    await addFile(contents, file.path, file.absolute);
    return;
  }
  const top = file.path.endsWith(wheelFolder) ? '' : `${file.path}/`;
  for (const child of await readdir(file.absolute, { recursive: true, withFileTypes: true })) {
    if (!child.isFile()) continue;
    const path = join(child.parentPath, child.name);
    await addFile(contents, `${top}${path.slice(file.absolute.length + 1)}`, path);
  }
}

async function addFile(contents: Contents, name: string, absolute: string): Promise<void> {
  if (name.endsWith(unsafeMark)) {
    contents.zipSafe = false;
    return;
  }
  if (nativeLibrary.test(name)) contents.zipSafe = false;
  if (!contents.entries.has(name)) contents.entries.set(name, stored(name, await readFile(absolute)));
}

/** `bank/statements/main.py` -> `bank.statements.main`. @throws BuildFault build/bad-config where it can't be imported */
export function moduleName(request: BuiltinRequest, path: string): string {
  const name = path
    .replace(/\.py$/, '')
    .replaceAll('/', '.')
    .replace(/\.__init__$/, '');
  if (path.endsWith('.py') && name.split('.').every((part) => /^[\p{L}_][\p{L}\p{N}_]*$/u.test(part))) return name;
  throw new BuildFault('build/bad-config', `${path} of ${request.target.label} can't be imported as a Python module`, {
    place: request.target.place,
    next: 'use letters, digits and _ in the names of the file and of its folders',
  });
}

export interface ArchiveOptions {
  /** Source of `__main__.py`, behind that of `bootstrap.py`. */
  readonly start: string;
  /** What comes before the archive, such as a `#!` line. */
  readonly preamble: string;
  /** Packages of the machine may be imported, too. */
  readonly site: boolean;
  /** It is unpacked before anything is imported from it. */
  readonly unpack: boolean;
}

/** Writes an archive that Python runs (PEP 441). */
export async function writeArchive(path: string, contents: Contents, options: ArchiveOptions): Promise<void> {
  const entries = new Map(contents.entries);
  // Folders without __init__.py are namespace packages, which imports from an archive find only by entries for folders:
  // an empty __init__.py does the same, and lets importlib.resources read from them.
  for (const name of [...entries.keys()]) {
    if (!/\.pyc?$/.test(name)) continue;
    const parts = name.split('/').slice(0, -1);
    for (; parts.length > 0; parts.pop()) {
      const init = `${parts.join('/')}/__init__.py`;
      if (!entries.has(init) && !entries.has(`${init}c`)) entries.set(init, stored(init, Buffer.alloc(0)));
    }
  }
  const digest = options.unpack ? JSON.stringify(digestOf(entries)) : 'None';
  const call = `prepare(${options.site ? 'True' : 'False'}, ${digest})\n`;
  const main = `${await readFile(bootstrap, 'utf8')}${call}${options.start}`;
  entries.set('__main__.py', stored('__main__.py', Buffer.from(main)));
  const sorted = [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  await writeZip(path, sorted, { prefix: options.preamble, mode: 0o755 });
}

const bootstrap = new URL('./bootstrap.py', import.meta.url);

/** Source of what every archive begins with: part of the key of what writes one. */
export function bootstrapSource(): Promise<string> {
  return readFile(bootstrap, 'utf8');
}

function digestOf(entries: ReadonlyMap<string, ZipEntry>): string {
  const hash = createHash('sha256');
  for (const [name, { crc, data }] of [...entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name}\0${crc}\0${data.length}\0`).update(data);
  }
  return hash.digest('hex').slice(0, 32);
}

/** Puts compiled files in the place of sources. The version of Python that reads them has to be this machine's. */
export async function withoutSources(request: BuiltinRequest, contents: Contents): Promise<Contents> {
  const folder = join(request.temporaryFolder, 'compiled');
  const entries = new Map(contents.entries);
  const sources = [...entries.values()].filter(({ name }) => name.endsWith('.py'));
  for (const { name, data } of sources) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), data);
  }
  request.update('compiling');
  const { path: program } = await resolveTool('python3');
  // Neither a time nor a path of this machine is in what comes out. Beside their sources, where archives are looked into.
  const flags = ['-b', '-q', '--invalidation-mode', 'unchecked-hash', '-s', folder];
  await request.run({ program, args: ['-I', '-m', 'compileall', ...flags, folder] });
  for (const { name } of sources) {
    entries.delete(name);
    entries.set(`${name}c`, stored(`${name}c`, await readFile(join(folder, `${name}c`))));
  }
  return { entries, zipSafe: contents.zipSafe };
}
