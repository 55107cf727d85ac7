import { join } from 'node:path';
import { isFault } from '../../fault/index.ts';
import { configText } from '../config.ts';
import { BuildFault } from '../fault.ts';
import type { BuiltinAction, BuiltinRequest } from '../types.ts';
import { classPath, compileJava, compilerIdentity } from './compile.ts';
import { checkMainClass, mergeJars, writeJar } from './jar.ts';

/** `<name>.jar` with the target's own classes and resources. */
export const javaLibrary: BuiltinAction = {
  version: '1',
  key: compilerIdentity,
  async run(request) {
    await writeJar(output(request, request.target.outs[0]), await compileJava(request));
  },
};

/** One jar with everything, for `java -jar`. */
export const javaBinary: BuiltinAction = {
  version: '1',
  key: compilerIdentity,
  async run(request) {
    const { target } = request;
    const mainClass = configText(request, 'main_class');
    const own = await compileJava(request);
    request.update('joining jars');
    const { entries, multiRelease } = await mergeJars(own, classPath(request));
    try {
      checkMainClass(entries, mainClass, target.label);
    } catch (error) {
      if (!isFault(error)) throw error;
      throw new BuildFault('build/bad-config', error.message, { place: target.place, next: error.next });
    }
    await writeJar(output(request, target.outs[0]), entries, {
      'Main-Class': mainClass,
      ...(multiRelease && { 'Multi-Release': 'true' }),
    });
  },
};

/** The tests in one jar, and what they need, JUnit included, in another: the launcher looks for tests in the first. */
export const javaTest: BuiltinAction = {
  version: '1',
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
    await writeJar(output(request, namedOuts.classpath?.[0]), entries, multiRelease ? { 'Multi-Release': 'true' } : {});
  },
};

function output(request: BuiltinRequest, name: string | undefined): string {
  return join(request.outputFolder, name ?? '');
}
