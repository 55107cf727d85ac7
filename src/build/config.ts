import { BuildFault } from './fault.ts';
import type { BuiltinRequest } from './types.ts';

/** A text of the `config` that the rule gives its action. @throws BuildFault build/bad-config */
export function configText(request: BuiltinRequest, name: string): string {
  const value = configValue(request, name);
  if (typeof value === 'string') return value;
  throw badConfig(request, name, 'a text');
}

export function configValue(request: Pick<BuiltinRequest, 'config'>, name: string): unknown {
  const { config } = request;
  return typeof config === 'object' && config !== null
    ? (config as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** A dictionary of texts. */
export function configTexts(request: BuiltinRequest, name: string): Record<string, string> {
  const value = configValue(request, name) ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) throw badConfig(request, name, 'a dictionary');
  const entries = Object.entries(value as Record<string, unknown>);
  if (!entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
    throw badConfig(request, name, 'a dictionary of texts');
  }
  return Object.fromEntries(entries);
}

/** The same, with what the target knows of its commit in place of `$SCM_REVISION` and its kin. */
export function stampedTexts(request: BuiltinRequest, name: string): Record<string, string> {
  const { stamp } = request.target;
  const texts = configTexts(request, name);
  if (stamp === undefined) return texts;
  const known: Record<string, string> = {
    SCM_REVISION: stamp.revision,
    SCM_DESCRIBE: stamp.describe,
    SCM_COMMIT_DATE: stamp.date,
  };
  const filled = (text: string) =>
    text.replace(/\$(?:\{(SCM_\w+)\}|(SCM_\w+))/g, (whole, braced?: string, plain?: string) => {
      return known[braced ?? plain ?? ''] ?? whole;
    });
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, filled(text)]));
}

export function configList(request: Pick<BuiltinRequest, 'target' | 'config'>, name: string): string[] {
  const value = configValue(request, name) ?? [];
  if (Array.isArray(value) && value.every((each): each is string => typeof each === 'string')) return value;
  throw badConfig(request, name, 'a list of texts');
}

/**
 * Rules say in `unlocked` what a lock file should tell of a target and does not: the graph is whole without it, a build is not.
 *
 * @param next how it is locked
 * @throws BuildFault build/unlocked
 */
export function refuseUnlocked(request: BuiltinRequest, next: string): void {
  const unlocked = configValue(request, 'unlocked');
  if (typeof unlocked === 'string') {
    throw new BuildFault('build/unlocked', unlocked, { place: request.target.place, next });
  }
}

function badConfig(request: Pick<BuiltinRequest, 'target'>, name: string, wanted: string): BuildFault {
  return new BuildFault('build/bad-config', `${name} of ${request.target.label} has to be ${wanted}`, {
    place: request.target.place,
    next: `correct ${name}`,
  });
}
