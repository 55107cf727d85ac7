import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isFault } from '../../fault/index.ts';
import { configList, configValue } from '../config.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';
import { classPath, compileJava, compilerIdentity, javaHome, jdkTool } from './compile.ts';
import { checkMainClass, mergeJars, writeJar } from './jar.ts';

/** `<name>.jar` with the target's own classes and resources. */
export const javaLibrary: BuiltinAction = {
  version: '2',
  key: compilerIdentity,
  async run(request) {
    await writeJar(output(request, request.target.outs[0]), await compileJava(request));
  },
};

/** One jar with everything, for `java -jar`. */
export const javaBinary: BuiltinAction = {
  version: '2',
  key: compilerIdentity,
  async run(request) {
    const { target } = request;
    const mainClass = String(configValue(request, 'main_class') ?? '');
    const own = await compileJava(request);
    request.update('joining jars');
    const { entries, multiRelease } = await mergeJars(own, classPath(request));
    try {
      if (mainClass !== '') checkMainClass(entries, mainClass, target.label);
    } catch (error) {
      if (!isFault(error)) throw error;
      throw new BuildFault('build/bad-config', error.message, { place: target.place, next: error.next });
    }
    const manifest = request.srcs.named.manifest?.[0]?.files[0];
    const attributes = {
      ...(mainClass !== '' && { 'Main-Class': mainClass }),
      ...(multiRelease && { 'Multi-Release': 'true' }),
    };
    const preamble = configValue(request, 'preamble');
    await writeJar(output(request, target.outs[0]), entries, {
      attributes,
      ...(manifest !== undefined && { manifest: await readFile(manifest.absolute, 'utf8') }),
      ...(typeof preamble === 'string' && { preamble }),
    });
  },
};

/** A Java runtime with these modules and no others, made by jlink: a folder. */
export const javaRuntimeImage: BuiltinAction = {
  version: '1',
  async key(target) {
    return target.tools.all.length > 0 ? '' : (await resolveTool('jlink')).identity;
  },
  async run(request) {
    const { target } = request;
    const jlink = await jdkTool(request, 'jlink');
    const path = [...classPath(request).map(({ absolute }) => absolute), join(dirname(dirname(jlink)), 'jmods')];
    const launcher = configValue(request, 'launcher');
    request.update('linking modules');
    await request.run({
      program: jlink,
      args: [
        '-J-XX:+UseSerialGC',
        '--module-path',
        path.join(':'),
        '--add-modules',
        configList(request, 'modules').join(','),
        '--output',
        output(request, target.outs[0]),
        // These classes come out otherwise in each run; they would be made when they are needed first.
        '--disable-plugin',
        'generate-jli-classes',
        ...(typeof launcher === 'string' && launcher !== '' ? ['--launcher', launcher] : []),
        ...configList(request, 'flags'),
      ],
      readable: javaHome(jlink),
    });
  },
};

/** The tests in one jar, and what they need, JUnit included, in another: the launcher looks for tests in the first. */
export const javaTest: BuiltinAction = {
  version: '2',
  key: compilerIdentity,
  async run(request) {
    const { namedOuts } = request.target;
    const own = await compileJava(request);
    await writeJar(output(request, namedOuts.tests?.[0]), own);
    request.update('joining jars');
    const { entries, multiRelease } = await mergeJars([], classPath(request));
    if (!entries.some(({ name }) => name === 'org/junit/platform/console/ConsoleLauncher.class')) {
      throw new BuildFault('build/bad-config', `${request.target.label} has no JUnit among its deps`, {
        place: request.target.place,
        next: 'add //third_party/java:junit, a maven_jar of org.junit.platform:junit-platform-console-standalone',
      });
    }
    await writeJar(output(request, namedOuts.classpath?.[0]), entries, {
      attributes: multiRelease ? { 'Multi-Release': 'true' } : {},
    });
  },
};

function output(request: BuiltinRequest, name: string | undefined): string {
  return join(request.outputFolder, name ?? '');
}
