import { type Dict, freeze, fromJson, type Value } from '../language/index.ts';
import { pluginConfig } from './please-config.ts';
import type { Json, PleaseConfig, Workspace } from './types.ts';

/** Go's and Debian's word for the processor; Please uses it too. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * What BUILD files read as CONFIG: the workspace's `config` with its keys in capitals, and what Please's rules expect to
 * find there. Values of the workspace win, then those of its `.plzconfig`.
 *
 * @param definitions what plugins that are at hand say of their settings, by their names
 */
export function baseConfig(
  workspace: Workspace,
  definitions: ReadonlyMap<string, PleaseConfig['plugin']> = new Map(),
): Dict {
  const arch = architectures[process.arch] ?? process.arch;
  const config: Dict = new Map<string, Value>([
    ['NAME', workspace.name],
    ['OS', process.platform],
    ['ARCH', arch],
    ['HOSTOS', process.platform],
    ['HOSTARCH', arch],
    ['BUILD_CONFIG', 'opt'],
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
  for (const [name, plugin] of Object.entries(please?.plugins ?? {})) {
    config.set(name.toUpperCase(), capitalised(pluginConfig(plugin.config, definitions.get(name))));
  }
  for (const [key, value] of Object.entries(workspace.config)) {
    const name = key.toUpperCase();
    const [before, given] = [config.get(name), capitalised(value)];
    config.set(name, before instanceof Map && given instanceof Map ? new Map([...before, ...given]) : given);
  }
  freeze(config);
  return config;
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
  freeze(result);
  return result;
}
