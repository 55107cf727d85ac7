import { chmod, copyFile, cp, mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Target } from '../../graph/index.ts';
import { configList, configValue } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltFile, BuiltinRequest, LaidInput } from '../types.ts';
import { compilerIdentity } from './cgo.ts';
import type { Compilation, NativeCompilation } from './compilation.ts';
import { type GoPackage, refuseNative } from './inspect.ts';
import { hostArchitecture, openToolchain, type Toolchain, toolchainIdentity } from './toolchain.ts';

/** Where the files of a package lie, and how they are to be read. */
export interface PackagePlace {
  readonly folder: string;
  /** Path that errors and stack traces show for the folder. */
  readonly shownAs: string;
  /** Whether files that import C are part of it. */
  readonly cgo: boolean;
  readonly tags: readonly string[];
  /** It is a package of a module from elsewhere. */
  readonly fromModule: boolean;
  /** Files for other systems are part of it, too. */
  readonly allFiles?: boolean;
}

export type BeyondGo = Pick<Compilation, 'language' | 'assembly' | 'native' | 'profile'>;

/** The toolchain, and the C compiler where the target uses one. */
export async function goKey(target: Target): Promise<string> {
  const { config } = target.action.kind === 'builtin' ? target.action : { config: null };
  const compiler = (config as { cgo?: string } | null)?.cgo ?? '';
  const identity = await toolchainIdentity(target);
  return compiler === '' ? identity : `${identity} ${await compilerIdentity(compiler)}`;
}

/** The toolchain for what the target is for. @throws BuildFault build/bad-config where C would have to be compiled for another architecture */
export async function targetToolchain(request: BuiltinRequest): Promise<Toolchain> {
  const { target } = request;
  const wanted = configValue(request, 'architecture');
  const architecture = typeof wanted === 'string' ? wanted : hostArchitecture;
  if (architecture !== hostArchitecture && configValue(request, 'cgo')) {
    throw new BuildFault(
      'build/bad-config',
      `${target.label} has parts in C, which are not compiled for ${architecture}`,
      {
        place: target.place,
      },
    );
  }
  return openToolchain(request, request, architecture);
}

/** Brings the files of the target's package together: its own, or those of a package of a module. */
export async function stagePackage(request: BuiltinRequest): Promise<PackagePlace> {
  const text = (name: string) => String(configValue(request, name) ?? '');
  const options = {
    cgo: text('cgo') !== '',
    tags: configList(request, 'tags'),
    allFiles: configValue(request, 'all_files') === true,
  };
  const [module] = request.srcs.named.module?.flatMap(({ files }) => files) ?? [];
  if (module === undefined) {
    const folder = join(request.temporaryFolder, 'src', request.target.package);
    await stageSources(request, folder);
    return { folder, shownAs: request.target.package, fromModule: false, ...options };
  }
  // As `go build -trimpath` shows it: example.com/module@v1.2.3/package.
  const top = join(request.temporaryFolder, 'src', text('shown_as'));
  await mkdir(dirname(top), { recursive: true });
  await cp(module.absolute, top, { recursive: true });
  const below = text('folder');
  const [folder, shownAs] = [join(top, below), join(text('shown_as'), below)];
  return { folder, shownAs, fromModule: true, ...options };
}

/** What of a package is not Go alone. @throws BuildFault build/bad-config where its rule does not do it */
export function nativeParts(request: BuiltinRequest, found: GoPackage, place: PackagePlace): BeyondGo {
  const language = configValue(request, 'language');
  const profile = request.srcs.named.profile?.[0]?.files[0]?.absolute;
  const both = {
    ...(typeof language === 'string' && language !== '' && { language }),
    ...(profile !== undefined && { profile }),
  };
  const compiler = configValue(request, 'cgo');
  const { native, assembly } = found;
  if (typeof compiler === 'string' && compiler !== '' && native.go.length > 0) {
    const compilation: NativeCompilation = {
      files: native,
      assembly,
      compiler,
      compilerFlags: configList(request, 'compiler_flags'),
      linkerFlags: configList(request, 'linker_flags'),
      pkgConfig: configList(request, 'pkg_config'),
      packageName: found.name,
    };
    return { ...both, native: compilation };
  }
  // Of a module, files that import C are left out where there is no cgo, as `go build` leaves them out.
  if (!place.fromModule) {
    const declared = (request.srcs.named.asm ?? []).length > 0;
    refuseNative(request, { ...found, assembly: declared ? [] : assembly });
  }
  return { ...both, assembly };
}

/**
 * Brings the files of a Go package together in one folder, as Go wants them: sources of the package, generated ones from
 * wherever, and files to embed at their paths below the package.
 *
 * @param folder absolute; made here
 */
export async function stageSources(request: BuiltinRequest, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { srcs = [], embed = [], asm = [], headers = [] } = request.srcs.named;
  const placed = new Map<string, string>();
  for (const file of filesOf([...srcs, ...asm])) await place(request, file, join(folder, basename(file.path)), placed);
  for (const file of filesOf([...embed, ...headers])) {
    const below = `${request.target.package}/`;
    const name = file.path.startsWith(below) ? file.path.slice(below.length) : file.path;
    await place(request, file, join(folder, name), placed);
  }
}

const filesOf = (inputs: readonly LaidInput[]) => inputs.flatMap(({ files }) => files);

async function place(request: BuiltinRequest, file: BuiltFile, to: string, placed: Map<string, string>): Promise<void> {
  const before = placed.get(to);
  if (before === file.path) return;
  if (before !== undefined) {
    throw new BuildFault(
      'build/bad-config',
      `${request.target.label} has two files of one name: ${before}, ${file.path}`,
      {
        place: request.target.place,
        next: 'give one of them another name',
      },
    );
  }
  placed.set(to, file.path);
  await mkdir(dirname(to), { recursive: true });
  if (file.kind === 'folder') await cp(file.absolute, to, { recursive: true });
  else {
    await copyFile(file.absolute, to);
    // Outputs of other actions are read-only; what is staged may be replaced.
    await chmod(to, ((await stat(to)).mode & 0o777) | 0o200);
  }
}
