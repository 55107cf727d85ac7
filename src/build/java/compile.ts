import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { configList, configValue } from '../config.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltFile, BuiltinRequest } from '../types.ts';
import { stored, type ZipEntry } from '../zip/write.ts';

/** The compiler is part of the key of all that it makes. */
export async function compilerIdentity(): Promise<string> {
  return (await resolveTool('javac')).identity;
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
      if (name.endsWith('.class')) entries.set(name, stored(name, await readFile(join(classes, name))));
    }
  }
  for (const file of resources.flatMap(({ files }) => files)) await addResource(entries, file);
  return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function runCompiler(request: BuiltinRequest, sources: readonly BuiltFile[], classes: string): Promise<void> {
  await mkdir(classes);
  const javac = await resolveTool('javac');
  const flags = configList(request, 'javac_flags');
  const release = configValue(request, 'release');
  const files = join(request.temporaryFolder, 'sources');
  // In an argument file a backslash and a quotation mark have a meaning: javac(1), @argfiles.
  const quoted = sources.map(({ path }) => `"${path.replace(/["\\]/g, '\\$&')}"`);
  await writeFile(files, `${quoted.join('\n')}\n`);
  const root = sources[0]!.absolute.slice(0, -sources[0]!.path.length - 1);
  await request.run({
    program: javac.realPath,
    args: [
      // It runs for a second or two: the time is in starting it.
      '-J-XX:TieredStopAtLevel=1',
      '-J-XX:+UseSerialGC',
      '--release',
      String(release ?? 17),
      '-encoding',
      'UTF-8',
      '-g',
      '-implicit:none',
      // A processor on the class path would run unasked.
      ...(flags.some((flag) => flag.startsWith('-processor') || flag.startsWith('--processor')) ? [] : ['-proc:none']),
      '-d',
      classes,
      '-classpath',
      classPath(request)
        .map(({ absolute }) => absolute)
        .join(':'),
      ...flags,
      `@${files}`,
    ],
    folder: root,
    readable: javaHome(javac.realPath),
  });
}

/** A JDK outside of the system's folders has to be made visible. */
function javaHome(program: string): string[] {
  return program.startsWith('/usr/') || program.startsWith('/opt/') ? [] : [program.replace(/\/bin\/[^/]+$/, '')];
}

/** In the jar at its path in the workspace, or behind `src/<x>/resources/` where it is laid out as Maven does. */
async function addResource(entries: Map<string, ZipEntry>, file: BuiltFile): Promise<void> {
  const name = file.path.replace(/^(?:.*\/)?src\/[^/]+\/resources\//, '');
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
