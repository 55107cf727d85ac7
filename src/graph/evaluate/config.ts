import { type Dict, freeze, fromJson, toJson, type Value } from '../../language/index.ts';
import type { Json, PleaseConfig, Workspace } from '../types.ts';
import { formerSettings } from '../workspace/former-settings.ts';
import { type PluginAtHand, pluginConfig } from '../workspace/please-config.ts';

/** The version of Please whose BUILD language this is, for rules that ask. */
const pleaseVersion = '17.31.2';

/** Go's and Debian's word for the processor; Please uses it too. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * What BUILD files read as CONFIG: the workspace's `config` with its keys in capitals, and what Please's rules expect to
 * find there. Values of the workspace win, then those of its `.plzconfig`.
 *
 * @param atHand plugins that are at hand, by their names
 */
export function baseConfig(workspace: Workspace, atHand: ReadonlyMap<string, PluginAtHand> = new Map()): Dict {
  const arch = architectures[process.arch] ?? process.arch;
  const config: Dict = new Map<string, Value>([
    ['NAME', workspace.name],
    ['OS', process.platform],
    ['ARCH', arch],
    ['HOSTOS', process.platform],
    ['HOSTARCH', arch],
    // Nothing is built for other machines.
    ['TARGET_OS', process.platform],
    ['TARGET_ARCH', arch],
    ['BUILD_CONFIG', 'opt'],
    ['BUILD_FILE_NAMES', [...workspace.buildFiles]],
    ['BAZEL_COMPATIBILITY', false],
    ['PLZ_VERSION', pleaseVersion],
    ['PLUGIN_REPOS', []],
    ['DEBUG_PORT', 0],
    // A program that rules of plugins pack archives with; the built-in rules need none.
    ['ARCAT_TOOL', 'arcat'],
    ...Object.entries(formerSettings).map(([key, value]): [string, Value] => [key, fromJson(value)]),
    ['FEATURES', []],
    ['DEBIAN', new Map([['SUITE', workspace.debian.suite]])],
    ['DEFAULT_VISIBILITY', null],
    ['DEFAULT_TESTONLY', false],
    ['DEFAULT_LICENCES', null],
    ['BUILD_SANDBOX', true],
    ['TEST_SANDBOX', true],
    ['EXIT_ON_ERROR', true],
  ]);
  const { please } = workspace;
  for (const [key, value] of Object.entries(please?.config ?? {})) config.set(key, capitalised(value));
  for (const name of pluginNames(please, atHand)) {
    const settings = pluginConfig(please?.plugins[name]?.config ?? {}, atHand.get(name));
    config.set(name.toUpperCase(), capitalised(settings));
  }
  for (const [key, value] of Object.entries(workspace.config)) {
    const name = key.toUpperCase();
    const [before, given] = [config.get(name), capitalised(value)];
    config.set(name, before instanceof Map && given instanceof Map ? new Map([...before, ...given]) : given);
  }
  freeze(config);
  return config;
}

/** CONFIG in a subrepo: that of the workspace, with what the subrepo's own `.plzconfig` says of itself and of plugins. */
export function repositoryConfig(
  outer: Dict,
  repository: string,
  please: PleaseConfig,
  atHand: ReadonlyMap<string, PluginAtHand>,
): Dict {
  const config: Dict = new Map(outer);
  for (const [key, value] of Object.entries(please.config)) {
    if (!config.has(key)) config.set(key, capitalised(value));
  }
  for (const name of pluginNames(please, atHand)) {
    const before = config.get(name.toUpperCase());
    const settings = before instanceof Map ? (toJson(before) as Readonly<Record<string, Json>>) : {};
    const given = please.plugins[name]?.config ?? {};
    config.set(name.toUpperCase(), capitalised(pluginConfig(given, atHand.get(name), repository, settings)));
  }
  freeze(config);
  return config;
}

function pluginNames(please: PleaseConfig | undefined, atHand: ReadonlyMap<string, PluginAtHand>): Set<string> {
  return new Set([...Object.keys(please?.plugins ?? {}), ...atHand.keys()]);
}

/** A copy that a file may change for itself: `CONFIG["X"] = 1`, `CONFIG.setdefault("X", 1)`. */
export function ownConfig(config: Dict): Dict {
  return new Map(config);
}

/** What a file made of CONFIG, by key. */
export function configChanges(before: Dict, after: Dict): Dict {
  const changes: Dict = new Map();
  for (const [key, value] of after) {
    if (before.get(key) === value) continue;
    freeze(value);
    changes.set(key, value);
  }
  return changes;
}

function capitalised(json: Json): Value {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) return fromJson(json);
  return new Map(Object.entries(json).map(([key, value]) => [key.toUpperCase(), capitalised(value)]));
}

/** A package's own CONFIG: `package(default_visibility = [...])` changes what follows in its BUILD file. */
export function overlaidConfig(config: Dict, changes: Dict): Dict {
  const result: Dict = new Map(config);
  for (const [name, value] of changes) {
    const key = name.toUpperCase();
    const before = result.get(key);
    const inside =
      value instanceof Map ? new Map([...value].map(([each, item]) => [each.toUpperCase(), item])) : undefined;
    result.set(
      key,
      inside !== undefined && before instanceof Map ? new Map([...before, ...inside]) : (inside ?? value),
    );
  }
  return result;
}
