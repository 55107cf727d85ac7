import { lstat, mkdir, readdir, readFile, readlink, rm, symlink, unlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { configList, configText } from '../config.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltFile, BuiltinAction, BuiltinRequest } from '../types.ts';

/** A JDK on the disk. */
interface Jdk {
  readonly home: string;
  /** What of the disk it needs to be run. */
  readonly readable: readonly string[];
}

/**
 * A Java runtime with those modules only that some jars need, by jdeps and jlink. Its JDK comes from layers of Debian packages
 * (of the architecture that the runtime is for; the programs themselves are this machine's), or is the system's.
 */
export const javaRuntime: BuiltinAction = {
  version: '1',
  key: (target) => (usesSystem(target.action) ? systemIdentity() : ''),
  dependencyOutputs: 'layer',
  async run(request) {
    const { temporaryFolder, target } = request;
    const packaged = !usesSystem(target.action);
    const tools = packaged
      ? await unpackJdk(request, filesOf(request.tools.all), join(temporaryFolder, 'tools'))
      : await systemJdk();
    // The layers that the modules come from may be of another architecture than the programs'.
    const source = packaged
      ? await unpackJdk(
          request,
          request.deps.flatMap(({ files }) => files),
          join(temporaryFolder, 'modules'),
          'jmods',
        )
      : tools;
    const feature = await featureOf(request, tools);
    const modules = await modulesOf(request, tools, feature);
    request.update(`linking ${modules.length} modules`);
    const output = join(request.outputFolder, target.outs[0] ?? '');
    await mkdir(dirname(output), { recursive: true });
    await request.run({
      program: join(tools.home, 'bin/jlink'),
      args: [
        ...quietJvm(temporaryFolder),
        '--module-path',
        join(source.home, 'jmods'),
        '--add-modules',
        modules.join(','),
        '--no-header-files',
        '--no-man-pages',
        feature >= 13 ? '--strip-java-debug-attributes' : '--strip-debug',
        // These classes come out otherwise in each run; they would be made when they are needed first.
        '--disable-plugin',
        'generate-jli-classes',
        `--compress=${compression(configText(request, 'compress'), feature)}`,
        '--output',
        output,
      ],
      readable: [...tools.readable, ...source.readable],
    });
    // Authorities are the image's: whoever takes the runtime puts a link here.
    await rm(join(output, 'lib/security/cacerts'), { force: true });
  },
};

function usesSystem({ kind, ...action }: BuiltinRequest['target']['action']): boolean {
  const config = kind === 'builtin' && 'config' in action ? (action.config as { jdk?: unknown } | null) : null;
  return typeof config?.jdk !== 'string';
}

async function systemIdentity(): Promise<string> {
  const { home } = await systemJdk();
  return `${(await resolveTool('jlink')).identity} ${await readFile(join(home, 'release'), 'utf8').catch(() => '')}`;
}

async function systemJdk(): Promise<Jdk> {
  const home = dirname(dirname((await resolveTool('jlink')).realPath));
  const found: string[] = await readdir(join(home, 'jmods')).catch(() => []);
  if (!found.includes('java.base.jmod')) {
    throw new BuildFault('build/tool-not-found', `the JDK in ${home} has no modules to make a runtime of`, {
      next: 'install a whole JDK (openjdk-17-jdk-headless), or give java_runtime a jdk of Debian packages',
    });
  }
  return { home, readable: home.startsWith('/usr/') ? [] : [home] };
}

function filesOf(inputs: BuiltinRequest['tools']['all']): BuiltFile[] {
  return inputs.flatMap(({ files }) => files);
}

/** @param has what the JDK's home has to hold, beside which the layers are wrong */
async function unpackJdk(
  request: BuiltinRequest,
  layers: readonly BuiltFile[],
  folder: string,
  has = 'bin/jlink',
): Promise<Jdk> {
  request.update('unpacking the JDK');
  await mkdir(folder, { recursive: true });
  for (const { absolute } of layers) {
    await request.run({
      program: 'tar',
      args: ['-xf', absolute, '-C', folder, '--no-same-owner', '--no-same-permissions'],
      readable: [absolute],
    });
  }
  await keepLinksInside(folder, folder);
  const jvms = join(folder, 'usr/lib/jvm');
  for (const name of (await readdir(jvms).catch(() => [])).sort()) {
    const home = join(jvms, name);
    if ((await lstat(home)).isDirectory() && (await lstat(join(home, has)).catch(() => undefined))) {
      return { home, readable: [folder] };
    }
  }
  throw new BuildFault('build/bad-config', `the jdk of ${request.target.label} holds no ${has}`, {
    place: request.target.place,
    next: 'name the package openjdk-17-jdk-headless of a debian_packages rule',
  });
}

/** Absolute links of a package mean the image's root: here they are made to mean the folder that it was unpacked to. */
async function keepLinksInside(root: string, folder: string): Promise<void> {
  for (const child of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, child.name);
    if (child.isDirectory()) await keepLinksInside(root, path);
    else if (child.isSymbolicLink()) {
      const target = await readlink(path);
      if (!target.startsWith('/')) continue;
      await unlink(path);
      await symlink(relative(folder, join(root, target)), path);
    }
  }
}

async function featureOf(request: BuiltinRequest, { home }: Jdk): Promise<number> {
  const release = await readFile(join(home, 'release'), 'utf8').catch(() => '');
  const version = /^JAVA_VERSION="(?:1\.)?(\d+)/m.exec(release)?.[1];
  if (version !== undefined && Number(version) >= 11) return Number(version);
  throw new BuildFault('build/bad-config', `the JDK of ${request.target.label} is no Java 11 or newer`, {
    place: request.target.place,
  });
}

/** What jdeps finds in the jars, and what was asked for beside it. */
async function modulesOf(request: BuiltinRequest, jdk: Jdk, feature: number): Promise<string[]> {
  const jars = (request.srcs.named.jars ?? []).flatMap(({ files }) => files);
  const modules = new Set(configList(request, 'modules'));
  if (jars.length > 0) {
    request.update('looking for modules');
    const { stdout } = await request.run({
      program: join(jdk.home, 'bin/jdeps'),
      args: [
        ...quietJvm(request.temporaryFolder),
        '--print-module-deps',
        '--ignore-missing-deps',
        '--recursive',
        '--multi-release',
        String(feature),
        ...jars.map(({ absolute }) => absolute),
      ],
      readable: jdk.readable,
    });
    const found = stdout.trim().split('\n').at(-1)?.split(',') ?? [];
    for (const name of found) if (/^[a-z][\w.]*$/i.test(name)) modules.add(name);
  }
  for (const name of configList(request, 'exclude_modules')) modules.delete(name);
  if (modules.size === 0) modules.add('java.base');
  return [...modules].sort();
}

/** They run for a few seconds, on machines that do more beside it. */
function quietJvm(temporaryFolder: string): string[] {
  return ['-J-XX:+UseSerialGC', '-J-XX:TieredStopAtLevel=1', `-J-Djava.io.tmpdir=${temporaryFolder}`];
}

/** `none`: a larger file that is mapped as it is, and a quicker start. `zip`: half of it. */
function compression(wanted: string, feature: number): string {
  if (wanted === 'zip') return feature >= 21 ? 'zip-6' : '2';
  return feature >= 21 ? 'zip-0' : '0';
}
