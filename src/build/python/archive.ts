import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildFault } from '../fault.ts';
import type { BuiltFile, BuiltinRequest } from '../types.ts';
import { stored, writeZip, type ZipEntry } from '../zip/write.ts';

/** Modules and other files by their path in the workspace, which is where imports start. */
export type Contents = Map<string, ZipEntry>;

/** The target's own files and those of all libraries that it needs. */
export async function gather(request: BuiltinRequest): Promise<Contents> {
  const contents: Contents = new Map();
  const own = request.srcs.all.flatMap(({ files }) => files);
  for (const file of [...own, ...request.deps.flatMap(({ files }) => files)]) await add(contents, file);
  return contents;
}

async function add(contents: Contents, file: BuiltFile): Promise<void> {
  if (file.kind === 'file') {
    contents.set(file.path, stored(file.path, await readFile(file.absolute)));
    return;
  }
  for (const child of await readdir(file.absolute, { recursive: true, withFileTypes: true })) {
    if (!child.isFile()) continue;
    const path = join(child.parentPath, child.name);
    const name = `${file.path}${path.slice(file.absolute.length)}`;
    contents.set(name, stored(name, await readFile(path)));
  }
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

/** Writes an archive that Python runs (PEP 441). */
export async function writeArchive(path: string, contents: Contents, main: string, interpreter: string): Promise<void> {
  // Folders without __init__.py are namespace packages, which imports from an archive find only by entries for folders:
  // an empty __init__.py does the same, and lets importlib.resources read from them.
  for (const name of [...contents.keys()]) {
    if (!name.endsWith('.py')) continue;
    const parts = name.split('/').slice(0, -1);
    for (; parts.length > 0; parts.pop()) {
      const init = `${parts.join('/')}/__init__.py`;
      if (!contents.has(init)) contents.set(init, stored(init, Buffer.alloc(0)));
    }
  }
  contents.set('__main__.py', stored('__main__.py', Buffer.from(main)));
  const entries = [...contents.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  await writeZip(path, entries, { prefix: `#!${interpreter}\n`, mode: 0o755 });
}
