import { mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BuildFault } from '../fault.ts';
import { resolveTool, type Tool } from '../tool.ts';
import type { BuiltinRequest } from '../types.ts';
import { type Archives, type Compilation, type NativeCompilation, prefixOf } from './compilation.ts';
import { cgoRuntime, type Toolchain } from './toolchain.ts';

export interface NativeResult {
  /** Absolute paths of Go files that were made. */
  readonly goFiles: readonly string[];
  readonly objects: readonly string[];
  /** What these Go files import beyond the package's own. */
  readonly imports: Archives;
  /** Where all of it lies. */
  readonly folder: string;
}

/** The C compiler is part of the key of what it compiles. */
export async function compilerIdentity(name: string): Promise<string> {
  return (await resolveTool(name)).identity;
}

/**
 * What `go build` does for a package that imports C: cgo makes Go and C of it, a C compiler compiles that, and a trial link
 * tells which symbols come from shared libraries.
 */
export async function compileNative(
  request: BuiltinRequest,
  toolchain: Toolchain,
  what: Compilation,
  native: NativeCompilation,
  stem: string,
): Promise<NativeResult> {
  const { files } = native;
  if (files.other.length > 0) {
    throw new BuildFault(
      'build/bad-config',
      `${request.target.label} has files that no compiler here reads: ${files.other.join(', ')}`,
      { place: request.target.place, next: 'leave them out: C, C++ and assembly are compiled' },
    );
  }
  const folder = `${stem}.cgo`;
  await mkdir(folder);
  const compiler = await resolveTool(native.compiler);
  const packages = [...files.pkgConfig, ...native.pkgConfig];
  const pkgConfig = async (what: string) =>
    packages.length === 0
      ? []
      : words((await request.run({ program: 'pkg-config', args: [what, '--', ...packages] })).stdout);
  const cFlags = [...files.cppFlags, ...files.cFlags, ...native.compilerFlags, ...(await pkgConfig('--cflags'))];
  const cxxFlags = [...files.cppFlags, ...files.cxxFlags, ...native.compilerFlags];
  const ldFlags = [...files.ldFlags, ...native.linkerFlags, ...(await pkgConfig('--libs'))];
  const readable = [toolchain.goroot, toolchain.folder, ...compilerFolder(compiler)];
  request.update('compiling C');
  await request.run({
    program: toolchain.cgo,
    args: [
      '-objdir',
      `${folder}/`,
      '-importpath',
      what.importPath,
      '-trimpath',
      `${prefixOf(what)}=>`,
      '--',
      '-I',
      folder,
      ...cFlags,
      ...files.go,
    ],
    folder: what.folder,
    // cgo writes them into the Go file that it makes; the linker hands them to the C compiler.
    env: { CGO_LDFLAGS: ldFlags.map(quoted).join(' '), CC: compiler.path, GOROOT: toolchain.goroot },
    readable,
  });
  const made = (await readdir(folder)).sort();
  const sources = [
    ...made.filter((name) => name.endsWith('.c') && name !== '_cgo_main.c').map((name) => join(folder, name)),
    ...[...files.c, ...files.cxx, ...native.assembly].map((name) => join(what.folder, name)),
  ];
  const compileC = async (source: string): Promise<string> => {
    const object = join(folder, `${basename(source).replace(/\.[^.]+$/, '')}-${sources.indexOf(source) + 1}.o`);
    const isCxx = /\.(cc|cpp|cxx)$/.test(source);
    await request.run({
      program: compiler.path,
      args: [
        '-I',
        what.folder,
        '-I',
        folder,
        '-fPIC',
        '-pthread',
        '-fmessage-length=0',
        // Neither where it was compiled nor with which switches may show in the result.
        `-ffile-prefix-map=${folder}=/cgo`,
        `-ffile-prefix-map=${prefixOf(what)}=.`,
        '-gno-record-gcc-switches',
        '-O2',
        '-g',
        ...(isCxx ? cxxFlags : cFlags),
        '-c',
        source,
        '-o',
        object,
      ],
      folder: what.folder,
      readable,
    });
    return object;
  };
  const objects: string[] = [];
  for (const source of sources) objects.push(await compileC(source));
  const main = await compileC(join(folder, '_cgo_main.c'));
  const trial = join(folder, '_cgo_.o');
  const libraries = files.cxx.length > 0 && !ldFlags.includes('-lstdc++') ? [...ldFlags, '-lstdc++'] : ldFlags;
  await request.run({
    program: compiler.path,
    args: ['-o', trial, main, ...objects, '-g', '-O2', ...libraries, '-pthread'],
    folder: what.folder,
    readable,
  });
  const dynamic = join(folder, '_cgo_import.go');
  await request.run({
    program: toolchain.cgo,
    args: ['-dynpackage', native.packageName, '-dynimport', trial, '-dynout', dynamic],
    folder: what.folder,
    env: { GOROOT: toolchain.goroot },
    readable,
  });
  const goFiles = [...made.filter((name) => name.endsWith('.go')).map((name) => join(folder, name)), dynamic];
  const runtime = await cgoRuntime(toolchain, compiler, request.signal);
  return { goFiles, objects, imports: new Map([['runtime/cgo', runtime]]), folder };
}

/** A compiler outside of the system's folders has to be made visible. */
export function compilerFolder({ path, realPath }: Tool): string[] {
  const folders = [path, realPath].map((each) => dirname(each));
  return [...new Set(folders)].filter((folder) => !/^\/(usr|bin|opt)(\/|$)/.test(folder));
}

/** The words of a line as pkg-config prints them: quoted as for a shell. */
function words(line: string): string[] {
  return [...line.trim().matchAll(/(?:[^\s\\"']|\\.|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replace(/\\(.)|["']/g, '$1'),
  );
}

/** As the go command reads it from the environment: a word with spaces is put into quotes. */
function quoted(word: string): string {
  if (!/[\s"']/.test(word)) return word;
  return word.includes("'") ? `"${word}"` : `'${word}'`;
}
