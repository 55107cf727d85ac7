import { createHash } from 'node:crypto';
import { type Label, looksLikeLabel, parseLabel, type Target } from '../graph/index.ts';
import { BuildFault } from './fault.ts';
import { outputFolder, outputNames, pathOf } from './target.ts';

/** What a command refers to, as paths that it sees. */
export interface Layout {
  /** Absolute path of the scratch folder as the command sees it. */
  readonly root: string;
  /** Relative to the root, in the order of the sources. */
  readonly srcs: readonly string[];
  readonly srcsNamed: Readonly<Record<string, readonly string[]>>;
  /** Absolute. */
  readonly tools: readonly string[];
  readonly toolsNamed: Readonly<Record<string, readonly string[]>>;
  /** Relative to the root; for tests. */
  readonly data: readonly string[];
  readonly dataNamed: Readonly<Record<string, readonly string[]>>;
  /** Path of an output by its name, relative to the root. */
  out(name: string): string;
  /** What stands behind a declared label; undefined where it is not declared. */
  locate(label: Label, named: string | undefined): Located | undefined;
  /** Where a program among the tools is. */
  program(name: string): string | undefined;
  /** A sum of a source's content. */
  sumOfFile(path: string): string | undefined;
}

export interface Located {
  /** As the command sees them: absolute for tools, else relative to the root. */
  readonly paths: readonly string[];
  /** The folder of the package that has them. */
  readonly folder: string;
  /** Below the folder of all outputs. */
  readonly outputs: readonly string[];
  /** A sum of their content. */
  readonly sum: string;
  readonly target: Target;
}

/** https://please.build/build_rules.html: the environment that Please documents for commands. `key`: the action's. */
export function actionEnvironment(
  target: Target,
  layout: Layout,
  temporary: string,
  key: string,
): Record<string, string> {
  const outs = outputNames(target).map((name) => layout.out(name));
  const env = baseEnvironment(target, layout.root, temporary);
  if (target.srcListFiles !== true) {
    env.SRCS = layout.srcs.join(' ');
    if (layout.srcs.length === 1) env.SRC = layout.srcs[0] ?? '';
    for (const [name, paths] of Object.entries(layout.srcsNamed)) env[`SRCS_${variable(name)}`] = paths.join(' ');
  }
  env.RULE_HASH = key;
  if (target.stamp !== undefined) {
    env.SCM_REVISION = target.stamp.revision;
    env.SCM_DESCRIBE = target.stamp.describe;
    env.SCM_COMMIT_DATE = target.stamp.date;
  }
  env.OUTS = outs.join(' ');
  if (outs.length === 1) env.OUT = `${layout.root}/${outs[0]}`;
  addOutputs(env, target, layout);
  addTools(env, layout);
  return withOwn(env, target);
}

/** The environment of a test's command. */
export function testEnvironment(
  target: Target,
  layout: Layout,
  temporary: string,
  resultsFile: string,
): Record<string, string> {
  const outs = outputNames(target).map((name) => layout.out(name));
  const env = baseEnvironment(target, layout.root, temporary);
  env.TEST = `${layout.root}/${outs[0] ?? ''}`;
  env.OUTS = outs.join(' ');
  addOutputs(env, target, layout);
  env.DATA = layout.data.join(' ');
  for (const [name, paths] of Object.entries(layout.dataNamed)) env[`DATA_${variable(name)}`] = paths.join(' ');
  env.RESULTS_FILE = resultsFile;
  env.TEST_DIR = layout.root;
  // Tests are run without arguments of a person's.
  env.TEST_ARGS = '';
  env.GTEST_OUTPUT = `xml:${resultsFile}`;
  env.PEX_NOCACHE = 'true';
  env._TEST_ID = testId(target);
  addTools(env, layout);
  return withOwn(env, target);
}

/** A name for the run of a test that tells nothing of it, as Please makes it. Tests are run once; another attempt is the same run. */
function testId({ label }: Target): string {
  return createHash('sha256').update(`${label}1`).digest().subarray(0, 12).toString('base64').replace(/=+$/, '');
}

/** With the target's own variables, in which `$X` stands for what is known of X, and for itself where nothing is. */
function withOwn(known: Record<string, string>, target: Target): Record<string, string> {
  const env = { ...known, ...passed(target) };
  const expanded = Object.entries(target.env).map(([name, value]) => [
    name,
    value.replace(/\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g, (_, braced?: string, plain?: string) => {
      const wanted = braced ?? plain ?? '';
      return Object.hasOwn(env, wanted) ? env[wanted]! : `$${wanted}`;
    }),
  ]);
  return { ...env, ...(Object.fromEntries(expanded) as Record<string, string>) };
}

export function baseEnvironment(target: Target, root: string, temporary: string): Record<string, string> {
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: root,
    TMP_DIR: root,
    TMPDIR: temporary,
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
    SOURCE_DATE_EPOCH: '0',
    PLZ_ENV: '1',
    PYTHONHASHSEED: '42',
    PKG: target.package,
    PKG_DIR: target.package === '' ? '.' : target.package,
    NAME: target.name,
    ARCH: process.arch === 'x64' ? 'amd64' : process.arch,
    OS: process.platform,
    XARCH: process.arch === 'x64' ? 'x86_64' : process.arch,
    XOS: process.platform === 'darwin' ? 'osx' : process.platform,
  };
}

/** Values of the variables that the target asks for: part of its key. */
export function passed(target: Target): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of target.passEnv) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

function addOutputs(env: Record<string, string>, target: Target, layout: Layout): void {
  for (const [name, outs] of Object.entries(target.namedOuts)) {
    if (target.entryPoints !== undefined && Object.hasOwn(target.entryPoints, name)) continue;
    env[`OUTS_${variable(name)}`] = outs
      .toSorted()
      .map((out) => layout.out(out))
      .join(' ');
  }
}

function addTools(env: Record<string, string>, layout: Layout): void {
  env.TOOLS = layout.tools.join(' ');
  if (layout.tools.length === 1) env.TOOL = layout.tools[0] ?? '';
  for (const [name, paths] of Object.entries(layout.toolsNamed)) env[`TOOLS_${variable(name)}`] = paths.join(' ');
}

function variable(name: string): string {
  return name.toUpperCase().replace(/[^A-Z0-9_]/g, '_');
}

const reference = /(\\?)\$\((locations?|exe|out_exe|out_locations?|dir|out_dir|hash)\s+([^)\s]+)\s*\)/g;

/**
 * Puts paths in place of `$(location //x:y)` and its kin. `\$(location ...)` stays as it is written; as in Please, every `\$` loses
 * its backslash.
 *
 * @throws BuildFault build/undeclared-input, build/bad-command
 */
export function substitute(command: string, target: Target, layout: Layout, what = 'command'): string {
  const replaced = command.replace(reference, (whole: string, escaped: string, verb: string, text: string) => {
    if (escaped !== '') return whole;
    const refuse = (message: string, next: string, code: 'build/bad-command' | 'build/undeclared-input') =>
      new BuildFault(code, `the ${what} of ${target.label} uses ${whole}, but ${message}`, {
        place: target.place,
        next,
      });
    const [labelText = '', named] = text.split('|');
    if (!looksLikeLabel(labelText)) {
      const path = layout.program(text) ?? (text.startsWith('/') ? text : pathOf(target, text));
      if (verb !== 'hash') return quote(path);
      const sum = layout.sumOfFile(path);
      if (sum !== undefined) return sum;
      throw refuse(`${path} is not among its sources`, `add it to srcs of ${target.label}`, 'build/undeclared-input');
    }
    const label = parseLabel(labelText, target.package);
    const located = layout.locate(label, named);
    if (located === undefined) {
      const next = `add ${label} to srcs, deps or tools of ${target.label}`;
      throw refuse(`${label} is not among its inputs`, next, 'build/undeclared-input');
    }
    if (verb === 'hash') return located.sum;
    const kept = `${outputFolder}/${located.target.binary ? 'bin' : 'gen'}`;
    if (verb === 'dir') return quote(located.folder);
    if (verb === 'out_dir') return quote(pathOf({ package: kept }, located.target.package).replace(/\/$/, ''));
    if (verb.endsWith('exe') && !located.target.binary) {
      throw refuse(
        `${label} is no program`,
        `add binary = True to ${label}, or use $(location ${text})`,
        'build/bad-command',
      );
    }
    const isKept = verb.startsWith('out_');
    const paths = isKept ? located.outputs.map((path) => `${kept}/${path}`) : located.paths;
    if (verb.endsWith('locations')) return paths.map(quote).join(' ');
    const [only] = paths;
    if (only === undefined || paths.length > 1) {
      throw refuse(`${label} has ${paths.length} outputs`, `use $(locations ${text})`, 'build/bad-command');
    }
    const isProgram = verb.endsWith('exe') && !only.includes('/');
    return quote(isProgram ? `./${only}` : only);
  });
  return replaced.replaceAll('\\$', '$');
}

/** Names that a shell could take apart are quoted. */
function quote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
