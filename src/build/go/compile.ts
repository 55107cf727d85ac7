import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nearest } from '../../fault/index.ts';
import { configValue } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinRequest } from '../types.ts';
import { assemble, assemblyInterface } from './assemble.ts';
import { compileNative } from './cgo.ts';
import { type Archives, type Compilation, prefixOf } from './compilation.ts';
import { placeOf } from './inspect.ts';
import { appendObjects } from './pack.ts';
import type { Toolchain } from './toolchain.ts';

/** Compiles one package. @throws BuildFault build/action-failed with the compiler's words, build/import-not-found */
export async function compile(request: BuiltinRequest, toolchain: Toolchain, what: Compilation): Promise<void> {
  await checkImports(request, toolchain, what);
  const stem = join(request.temporaryFolder, what.importPath.replaceAll(/[^\w.-]/g, '_'));
  const importcfg = `${stem}.importcfg`;
  const native =
    what.native === undefined ? undefined : await compileNative(request, toolchain, what, what.native, stem);
  const imports = native === undefined ? what.imports : new Map([...what.imports, ...native.imports]);
  await writeFile(importcfg, importConfig(toolchain, imports));
  const embedcfg = await writeEmbedConfig(what, stem);
  const assembly = what.assembly ?? [];
  const abi = assembly.length === 0 ? undefined : await assemblyInterface(request, toolchain, what, assembly, stem);
  const prefix = prefixOf(what);
  await request.run({
    program: toolchain.compiler,
    args: [
      '-p',
      what.importPath,
      '-trimpath',
      native === undefined ? prefix : `${native.folder}=>;${prefix}`,
      // A package with functions that are written elsewhere is not complete.
      ...(abi === undefined && native === undefined ? ['-complete'] : []),
      '-pack',
      '-buildid=',
      '-nolocalimports',
      ...(what.language === undefined ? [] : [`-lang=${what.language}`]),
      ...(what.profile === undefined ? [] : [`-pgoprofile=${what.profile}`]),
      '-importcfg',
      importcfg,
      ...(embedcfg === undefined ? [] : ['-embedcfg', embedcfg]),
      ...(abi === undefined ? [] : ['-symabis', abi.symbols, '-asmhdr', abi.header]),
      '-o',
      what.output,
      ...what.group.files.map((name) => (what.shownAs === '' ? `./${name}` : `./${what.shownAs}/${name}`)),
      ...(native?.goFiles ?? []),
    ],
    folder: prefix,
    env: { GOARCH: toolchain.architecture },
    readable: [toolchain.goroot, toolchain.folder],
  });
  const objects = [
    ...(abi === undefined ? [] : await assemble(request, toolchain, what, assembly, abi)),
    ...(native?.objects ?? []),
  ];
  if (objects.length > 0) await appendObjects(what.output, objects);
}

/** The form that `go tool compile` and `go tool link` read: one `packagefile path=archive` a line. */
export function importConfig(toolchain: Toolchain, archives: Archives): string {
  const lines = [...toolchain.standard, ...archives].map(([path, archive]) => `packagefile ${path}=${archive}\n`);
  return lines.join('');
}

async function writeEmbedConfig(what: Compilation, stem: string): Promise<string | undefined> {
  const patterns = Object.entries(what.group.embeds);
  if (patterns.length === 0) return undefined;
  const files = [...new Set(patterns.flatMap(([, names]) => names))];
  const config = {
    Patterns: Object.fromEntries(patterns),
    Files: Object.fromEntries(files.map((name) => [name, join(what.folder, name)])),
  };
  await writeFile(`${stem}.embedcfg`, JSON.stringify(config));
  return `${stem}.embedcfg`;
}

async function checkImports(request: BuiltinRequest, toolchain: Toolchain, what: Compilation): Promise<void> {
  const { target } = request;
  for (const { path, at } of what.group.imports) {
    if (path === 'unsafe' || path === 'C' || (path === 'runtime/cgo' && what.native !== undefined)) continue;
    if (toolchain.standard.has(path) || what.imports.has(path)) continue;
    const [first] = at;
    const ofModule = configValue(request, 'shown_as') !== undefined;
    const near = nearest(path, [...what.imports.keys(), ...toolchain.standard.keys()]);
    const isStandard = !(path.split('/')[0] ?? '').includes('.') && near !== undefined && toolchain.standard.has(near);
    throw new BuildFault('build/import-not-found', `${target.label} imports ${path}, which is not among its deps`, {
      place: first === undefined ? target.place : await placeOf(what.folder, what.shownAs, first),
      related: [{ message: 'the target', place: target.place }],
      next: ofModule
        ? `add a go_repo for the module of ${path}, and run banksman lock go`
        : near !== undefined && (isStandard || what.imports.has(near))
          ? `did you mean ${near}? If not, add the go_library of ${path} to deps of ${target.label}`
          : `add the go_library of ${path} to deps of ${target.label}`,
    });
  }
}
