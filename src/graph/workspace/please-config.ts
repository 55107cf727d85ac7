import { placeOf, type Source } from '../../language/index.ts';
import { GraphFault } from '../fault.ts';
import { formatPattern, parsePattern } from '../names/label.ts';
import { resolvePath } from '../paths.ts';
import { defaultTimeouts, secondsOfText } from '../timeouts.ts';
import type { Json, PleaseConfig, PluginKey, SumAlgorithm } from '../types.ts';
import { isSumAlgorithm } from './sums.ts';

interface Entry {
  readonly section: string;
  /** `go` in `[Plugin "go"]`. */
  readonly subsection: string;
  readonly key: string;
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

/**
 * What of Please's settings matters to the graph. All others are let pass: they are about how Please itself works.
 *
 * @throws GraphFault graph/bad-workspace with the place of a line that can't be read
 */
export function readPleaseConfig(sources: readonly Source[]): PleaseConfig {
  const buildFiles: string[] = [];
  const buildDefs: string[] = [];
  const preloadedSubincludes: string[] = [];
  const ignoredFolders: string[] = [];
  const passEnv: string[] = [];
  const env: Record<string, string> = {};
  const config: Record<string, Json> = {};
  const plugins: Record<string, { target?: string; config: Record<string, Json> }> = {};
  const definitions: Record<string, Record<string, string[]>> = {};
  let gitFunctions = true;
  let language: Record<string, string> = {};
  let pkgConfig: Record<string, string> = {};
  let exitOnError: boolean | undefined;
  const sums: SumAlgorithm[] = [];
  const licences: { accept: string[]; reject: string[] } = { accept: [], reject: [] };
  const unconfinedTargets: string[] = [];
  const timeouts = { build: defaultTimeouts.build, test: defaultTimeouts.test };
  const sizes = new Map<string, { name?: string; seconds: number }>();
  for (const source of sources) {
    for (const entry of entriesOf(source)) {
      const { section, subsection, key, value } = entry;
      const path = () => folderPath(source, entry);
      const pattern = () => patternOf(source, entry);
      switch (`${section}.${key}`) {
        case 'parse.buildfilename':
          buildFiles.push(value);
          break;
        case 'parse.blacklistdirs':
          ignoredFolders.push(path());
          break;
        case 'parse.preloadbuilddefs':
          buildDefs.push(path());
          break;
        case 'parse.preloadsubincludes':
          preloadedSubincludes.push(value);
          break;
        case 'parse.gitfunctions':
          gitFunctions = truthOf(source, entry);
          break;
        case 'build.config':
          config.BUILD_CONFIG = value;
          break;
        case 'build.lang':
          // LC_ALL is said by the fixed environment, and would win.
          language = { LANG: value, LC_ALL: value };
          break;
        case 'cpp.pkgconfigpath':
          config.PKG_CONFIG_PATH = value;
          pkgConfig = { PKG_CONFIG_PATH: value };
          break;
        case 'please.version':
          config.PLZ_VERSION = value.replace(/^>=/, '');
          break;
        case 'please.pluginrepo':
          addValue(config, 'PLUGIN_REPOS', value);
          if (!Array.isArray(config.PLUGIN_REPOS)) config.PLUGIN_REPOS = [value];
          break;
        case 'bazel.compatibility':
          config.BAZEL_COMPATIBILITY = truthOf(source, entry);
          break;
        case 'build.passenv':
          passEnv.push(value);
          break;
        case 'build.exitonerror':
          exitOnError = truthOf(source, entry);
          config.EXIT_ON_ERROR = exitOnError;
          break;
        case 'build.hashcheckers':
          sums.push(...sumsOf(source, entry));
          break;
        case 'build.timeout':
          timeouts.build = secondsOf(source, entry);
          break;
        case 'test.timeout':
          timeouts.test = secondsOf(source, entry);
          break;
        case 'size.timeout':
        case 'size.timeoutname': {
          const size = sizes.get(subsection) ?? { seconds: defaultTimeouts.sizes.eternal! };
          sizes.set(subsection, size);
          if (key === 'timeout') size.seconds = secondsOf(source, entry);
          else size.name = value;
          break;
        }
        case 'licences.accept':
          licences.accept.push(value);
          break;
        case 'licences.reject':
          licences.reject.push(value);
          break;
        case 'sandbox.excludeabletargets':
          unconfinedTargets.push(pattern());
          break;
        case 'sandbox.build':
          config.BUILD_SANDBOX = truthOf(source, entry);
          break;
        case 'sandbox.test':
          config.TEST_SANDBOX = truthOf(source, entry);
          break;
        default:
          if (section === 'buildconfig') config[capitals(key)] = guessed(value);
          else if (section === 'buildenv') env[capitals(key)] = value;
          else if (section === 'plugin' && subsection !== '') {
            plugins[subsection] ??= { config: {} };
            const plugin = plugins[subsection];
            if (key === 'target') plugin.target = value;
            else addValue(plugin.config, key, value);
          } else if (section === 'pluginconfig' && subsection !== '') {
            definitions[subsection] ??= {};
            definitions[subsection][key] ??= [];
            definitions[subsection][key].push(value);
          } else if (languages.includes(section)) {
            // Before version 17 these were sections of their own.
            plugins[section] ??= { config: {} };
            addValue(plugins[section].config, key, value);
          }
      }
    }
  }
  const definition = sources
    .flatMap(entriesOf)
    .find(({ section, key }) => section === 'plugindefinition' && key === 'name');
  return Object.freeze({
    buildFiles,
    buildDefs,
    preloadedSubincludes,
    ignoredFolders,
    passEnv,
    // As in Please, [buildenv] wins.
    env: { ...language, ...pkgConfig, ...env },
    config,
    plugins,
    gitFunctions,
    timeouts: { ...timeouts, sizes: sizesOf(sizes) },
    licences,
    unconfinedTargets,
    ...(sums.length > 0 && { sums }),
    ...(exitOnError !== undefined && { exitOnError }),
    ...(definition !== undefined && { plugin: { name: definition.value.toLowerCase(), keys: definitions } }),
  });
}

const languages = ['go', 'java', 'python', 'cpp', 'cc', 'proto', 'docker', 'shell'];

function addValue(config: Record<string, Json>, key: string, value: string): void {
  const before = config[key];
  config[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
}

/** A plugin that is at hand: what it says of its settings, and the subrepo that labels in its defaults belong to. */
export interface PluginAtHand {
  readonly plugin: NonNullable<PleaseConfig['plugin']>;
  readonly subrepo: string;
}

/**
 * A plugin's settings as its rules read them: `[PluginConfig "import_path"] ConfigKey = ImportPath` says that the key
 * `ImportPath` of users is CONFIG.GO.IMPORT_PATH. Keys that no definition names keep their own name. Labels are written out so
 * that they mean the same in every repository.
 *
 * @param given what a repository's settings say
 * @param atHand undefined where the plugin is not at hand
 * @param repository the subrepo whose settings these are, '' for the workspace
 * @param outer what the repository around it came to: keys that are inherited stay as they are there
 */
export function pluginConfig(
  given: Readonly<Record<string, Json>>,
  atHand?: PluginAtHand,
  repository = '',
  outer: Readonly<Record<string, Json>> = {},
): Record<string, Json> {
  const result: Record<string, Json> = { ...outer };
  const names = new Set<string>();
  for (const [name, key] of Object.entries(atHand?.plugin.keys ?? {})) {
    const known = (key.configkey?.at(-1) ?? name.replaceAll('_', '')).toLowerCase();
    const target = capitals(name);
    names.add(known);
    if (target in outer && isSet(key.inherit)) continue;
    const own = given[known];
    const values =
      own === undefined
        ? (key.defaultvalue ?? []).map((each) => writtenOut(each, atHand!.subrepo))
        : (Array.isArray(own) ? own : [own]).map((each) => writtenOut(String(each), repository));
    const optional = isSet(key.optional);
    if (isSet(key.repeatable)) result[target] = values.map((each) => typed(each, key));
    else if (values.length > 0) result[target] = optional && values.at(-1) === '' ? null : typed(values.at(-1)!, key);
    else if (optional) result[target] = null;
  }
  for (const [key, value] of Object.entries(given)) {
    if (names.has(key)) continue;
    result[known[key] ?? capitals(key)] = switches.has(key) ? isSet([String(value)]) : value;
  }
  return result;
}

/** `//a:b` as `///repository//a:b`; in the workspace itself `@//a:b`. */
function writtenOut(value: string, repository: string): string {
  if (!/^(\/\/(?!\/)|:)/.test(value)) return value;
  const inside = value.startsWith(':') ? `//${value}` : value;
  return repository === '' ? `@${inside}` : `///${repository}${inside}`;
}

function isSet(values: readonly string[] | undefined): boolean {
  return /^(true|yes|on|1)$/i.test(values?.at(-1) ?? '');
}

/** Keys of Please's own plugins, whose rules are built in here: git's syntax doesn't tell their words apart. */
const known: Readonly<Record<string, string>> = {
  importpath: 'IMPORT_PATH',
  gotool: 'GO_TOOL',
  modfile: 'MOD_FILE',
  buildtags: 'BUILD_TAGS',
  cctool: 'CC_TOOL',
  cflags: 'C_FLAGS',
  ldflags: 'LD_FLAGS',
  cgoenabled: 'CGO_ENABLED',
  defaultstatic: 'DEFAULT_STATIC',
  legacyimports: 'LEGACY_IMPORTS',
  requirelicences: 'REQUIRE_LICENCES',
  splitdebuginfo: 'SPLIT_DEBUG_INFO',
  stripbinaries: 'STRIP_BINARIES',
  javacflags: 'JAVAC_FLAGS',
  javactestflags: 'JAVAC_TEST_FLAGS',
  defaulttestpackage: 'DEFAULT_TEST_PACKAGE',
  defaultruntimeinterpreters: 'DEFAULT_RUNTIME_INTERPRETERS',
  defaultruntimeinterpreterargs: 'DEFAULT_RUNTIME_INTERPRETER_ARGS',
  testrunnerdeps: 'TESTRUNNER_DEPS',
  pipflags: 'PIP_FLAGS',
  defaultpiprepo: 'DEFAULT_PIP_REPO',
  usepypi: 'USE_PYPI',
  wheelrepo: 'WHEEL_REPO',
  wheelnamescheme: 'WHEEL_NAME_SCHEME',
  sourcelevel: 'SOURCE_LEVEL',
  targetlevel: 'TARGET_LEVEL',
  releaselevel: 'RELEASE',
  javactool: 'JAVAC_TOOL',
  defaultmavenrepo: 'DEFAULT_MAVEN_REPO',
  defaultinterpreter: 'DEFAULT_INTERPRETER',
  moduledir: 'MODULE_DIR',
  testrunner: 'TEST_RUNNER',
};

/** Those of them that are true or false. */
const switches = new Set([
  'cgoenabled',
  'defaultstatic',
  'legacyimports',
  'race',
  'requirelicences',
  'splitdebuginfo',
  'stripbinaries',
  'usepypi',
]);

function typed(text: string, key: PluginKey): Json {
  const type = key.type?.at(-1)?.toLowerCase() ?? 'str';
  if (type === 'bool') return /^(true|yes|on|1)$/i.test(text);
  if (type === 'int' && /^-?[0-9]{1,15}$/.test(text)) return Number(text);
  return text;
}

/** As Please reads build configuration: what looks like a number or a truth value is one. */
function guessed(value: string): Json {
  if (/^[-+]?[0-9]{1,15}$/.test(value)) return Number(value);
  if (/^(true|yes|on)$/i.test(value)) return true;
  return /^(false|no|off)$/i.test(value) ? false : value;
}

function capitals(key: string): string {
  return key.replaceAll('-', '_').toUpperCase();
}

/** Lines after git-config(1): sections, keys with values, comments. Keys and sections in small letters. */
function entriesOf(source: Source): Entry[] {
  const entries: Entry[] = [];
  let section = '';
  let subsection = '';
  let at = 0;
  for (const line of source.text.split('\n')) {
    const start = at;
    at += line.length + 1;
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith(';') || trimmed.startsWith('#')) continue;
    const header = /^\[\s*([\w.-]+)\s*(?:"((?:[^"\\]|\\.)*)")?\s*\]\s*(?:[;#].*)?$/.exec(trimmed);
    if (header !== null) {
      section = header[1]!.toLowerCase();
      subsection = (header[2] ?? '').replace(/\\(.)/g, '$1').toLowerCase();
      continue;
    }
    const pair = /^([A-Za-z][\w.-]*)\s*(?:=\s*(.*))?$/.exec(trimmed);
    if (pair === null || section === '') {
      throw new GraphFault('graph/bad-workspace', `${source.file} has a line that is no setting`, {
        place: placeOf(source, start, start + line.length),
        next: section === '' ? 'put it below a section, such as [Parse]' : 'write key = value',
      });
    }
    const value = pair[2] === undefined ? 'true' : unquoted(pair[2]);
    entries.push({ section, subsection, key: pair[1]!.toLowerCase(), value, start, end: start + line.length });
  }
  return entries;
}

/** A value up to its comment, its quotes taken off. */
function unquoted(text: string): string {
  let result = '';
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '\\' && at + 1 < text.length) {
      const next = text[++at]!;
      result += { n: '\n', t: '\t' }[next] ?? next;
    } else if (character === '"') quoted = !quoted;
    else if (!quoted && (character === ';' || character === '#')) break;
    else result += character;
  }
  return quoted ? result : result.trim();
}

function truthOf(source: Source, { value, key, start, end }: Entry): boolean {
  if (/^(true|yes|on|1)$/i.test(value)) return true;
  if (/^(false|no|off|0|)$/i.test(value)) return false;
  throw new GraphFault('graph/bad-workspace', `${key} is ${JSON.stringify(value)}, which is neither true nor false`, {
    place: placeOf(source, start, end),
  });
}

/** Names of sums, one each time or several with commas. */
function sumsOf(source: Source, { value, start, end }: Entry): SumAlgorithm[] {
  return value.split(',').map((text) => {
    const name = text.trim().toLowerCase();
    if (isSumAlgorithm(name)) return name;
    throw new GraphFault('graph/bad-workspace', `hashcheckers is ${JSON.stringify(text)}, which is no kind of sum`, {
      place: placeOf(source, start, end),
      next: 'name sha1, sha256, blake3, xxhash, crc32 or crc64',
    });
  });
}

function patternOf(source: Source, { value, start, end }: Entry): string {
  try {
    return formatPattern(parsePattern(value));
  } catch (error) {
    if (!(error instanceof GraphFault)) throw error;
    throw new GraphFault('graph/bad-workspace', error.message, {
      place: placeOf(source, start, end),
      next: error.next,
    });
  }
}

function secondsOf(source: Source, { value, key, start, end }: Entry): number {
  const seconds = /^[0-9]{1,9}$/.test(value) ? Number(value) : secondsOfText(value);
  if (seconds !== undefined && seconds > 0) return seconds;
  throw new GraphFault('graph/bad-workspace', `${key} is ${JSON.stringify(value)}, which is no length of time`, {
    place: placeOf(source, start, end),
    next: 'write seconds, or a text such as 90s or 5m',
  });
}

/** Where any are given, the usual ones don't count, as in Please. */
function sizesOf(given: ReadonlyMap<string, { name?: string; seconds: number }>): Readonly<Record<string, number>> {
  if (given.size === 0) return defaultTimeouts.sizes;
  const names = [...given].flatMap(([size, { name, seconds }]) => [
    [size, seconds] as const,
    ...(name === undefined ? [] : [[name, seconds] as const]),
  ]);
  return Object.fromEntries(names);
}

function folderPath(source: Source, { value, key, start, end }: Entry): string {
  const path = resolvePath('', value.replace(/^\/\//, '').replace(':', '/').replace(/\/$/, ''));
  if (path !== undefined && path !== '') return path;
  throw new GraphFault('graph/bad-workspace', `${key} is ${JSON.stringify(value)}, which leads out of the workspace`, {
    place: placeOf(source, start, end),
  });
}
