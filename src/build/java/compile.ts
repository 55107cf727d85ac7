import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Target } from '../../graph/index.ts';
import { configList, configTexts, configValue } from '../config.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltFile, BuiltinRequest } from '../types.ts';
import { readZip } from '../zip/read.ts';
import { stored, type ZipEntry } from '../zip/write.ts';

/** The system's compiler is part of the key of all that it makes. One that is a target is an input like any other. */
export async function compilerIdentity(target: Target): Promise<string> {
  return target.tools.all.length > 0 ? '' : (await resolveTool('javac')).identity;
}

/** A program of the JDK: the system's, or that of the target's toolchain. */
export async function jdkTool(request: BuiltinRequest, name: string): Promise<string> {
  const given = request.tools.named[name]?.[0]?.files[0]?.absolute;
  return given ?? (await resolveTool(name)).realPath;
}

/** Jars among the dependencies, those that others need before these: the class path. */
export function classPath(request: BuiltinRequest): BuiltFile[] {
  const jars = new Map<string, BuiltFile>();
  for (const file of request.deps.flatMap(({ files }) => files)) {
    if (file.kind === 'file' && file.path.endsWith('.jar')) jars.set(file.path, file);
  }
  return [...jars.values()];
}

/**
 * Compiles the target's Java files and adds its resources: what belongs into its jar, sorted by name.
 *
 * @throws BuildFault build/action-failed with the compiler's words
 */
export async function compileJava(request: BuiltinRequest): Promise<ZipEntry[]> {
  const { target } = request;
  const { srcs = [], resources = [] } = request.srcs.named;
  const sources = srcs.flatMap(({ files }) => files);
  const entries = new Map<string, ZipEntry>();
  if (sources.length > 0) {
    for (const { path, kind } of sources) {
      if (kind === 'file' && path.endsWith('.java')) continue;
      throw new BuildFault('build/bad-config', `${path}, among the srcs of ${target.label}, is no Java file`, {
        place: target.place,
        next: 'put it into resources',
      });
    }
    request.update(`compiling ${sources.length} file${sources.length === 1 ? '' : 's'}`);
    const classes = join(request.temporaryFolder, 'classes');
    await runCompiler(request, sources, classes);
    for (const name of (await readdir(classes, { recursive: true })).sort()) {
      const path = join(classes, name);
      // Processors may write more than classes.
      if ((await stat(path)).isFile()) entries.set(name, stored(name, await readFile(path)));
    }
  }
  const root = configValue(request, 'resources_root');
  const top = typeof root === 'string' && root !== '' ? `${root}/` : undefined;
  for (const file of resources.flatMap(({ files }) => files)) await addResource(entries, file, top);
  return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function runCompiler(request: BuiltinRequest, sources: readonly BuiltFile[], classes: string): Promise<void> {
  await mkdir(classes);
  const javac = await jdkTool(request, 'javac');
  const flags = configList(request, 'javac_flags');
  const levels = configTexts(request, 'levels');
  const files = join(request.temporaryFolder, 'sources');
  // In an argument file a backslash and a quotation mark have a meaning: javac(1), @argfiles.
  const quoted = sources.map(({ path }) => `"${path.replace(/["\\]/g, '\\$&')}"`);
  await writeFile(files, `${quoted.join('\n')}\n`);
  const root = sources[0]!.absolute.slice(0, -sources[0]!.path.length - 1);
  const path = classPath(request)
    .map(({ absolute }) => absolute)
    .join(':');
  const processing = await processorFlags(request, flags, path);
  await request.run({
    program: javac,
    args: [
      // It runs for a second or two: the time is in starting it.
      '-J-XX:TieredStopAtLevel=1',
      '-J-XX:+UseSerialGC',
      ...Object.entries(levels).flat(),
      '-encoding',
      'UTF-8',
      '-g',
      '-implicit:none',
      ...processing,
      '-d',
      classes,
      configValue(request, 'modular') === true ? '--module-path' : '-classpath',
      path,
      ...flags,
      `@${files}`,
    ],
    folder: root,
    readable: javaHome(javac),
  });
}

const processorService = 'META-INF/services/javax.annotation.processing.Processor';

/** A processor runs where the target itself names its library; one far behind it on the class path would run unasked. */
async function processorFlags(request: BuiltinRequest, flags: readonly string[], path: string): Promise<string[]> {
  if (flags.some((flag) => /^(-processor|--processor|-proc:)/.test(flag))) return [];
  for (const { direct, files } of request.deps) {
    if (!direct) continue;
    for (const { path: shown, absolute } of files.filter(
      (file) => file.kind === 'file' && file.path.endsWith('.jar'),
    )) {
      const entries = await readZip(absolute, shown);
      if (entries.some(({ name }) => name === processorService)) return ['-processorpath', path];
    }
  }
  return ['-proc:none'];
}

/** A JDK outside of the system's folders has to be made visible. */
export function javaHome(program: string): string[] {
  return program.startsWith('/usr/') || program.startsWith('/opt/') ? [] : [program.replace(/\/bin\/[^/]+$/, '')];
}

/**
 * In the jar at its path in the workspace, or behind `src/<x>/resources/` where it is laid out as Maven does.
 *
 * @param top what is left out at the start of paths, in place of that
 */
async function addResource(entries: Map<string, ZipEntry>, file: BuiltFile, top: string | undefined): Promise<void> {
  const name =
    top === undefined
      ? file.path.replace(/^(?:.*\/)?src\/[^/]+\/resources\//, '')
      : file.path.startsWith(top)
        ? file.path.slice(top.length)
        : file.path;
  if (file.kind === 'file') {
    entries.set(name, stored(name, await readFile(file.absolute)));
    return;
  }
  for (const child of await readdir(file.absolute, { recursive: true, withFileTypes: true })) {
    if (!child.isFile()) continue;
    const path = join(child.parentPath, child.name);
    const below = `${name}${path.slice(file.absolute.length)}`;
    entries.set(below, stored(below, await readFile(path)));
  }
}
