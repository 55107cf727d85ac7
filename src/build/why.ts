import { isDeepStrictEqual } from 'node:util';
import type { KeyParts } from './key.ts';

/** Facts shown of a reason; more are counted. */
const shownReasons = 3;

/**
 * Why an action runs, for a person: the difference between the parts of its key now and the last time.
 *
 * @param names of what the definition lists, see `actionArguments` and `testArguments`
 */
export function explain(before: KeyParts | undefined, now: KeyParts, names: readonly string[]): string {
  if (before === undefined) return 'it was not built here before';
  const reasons: string[] = [];
  const old = new Map(before);
  const current = new Map(now);
  for (const [name, content] of now) {
    const was = old.get(name);
    if (was === content) continue;
    if (name === 'definition') reasons.push(...changedArguments(was, content, names));
    else reasons.push(`${name.replace(/^(source|data) /, '')} ${was === undefined ? 'is new' : 'has changed'}`);
  }
  for (const [name] of before) {
    if (!current.has(name)) reasons.push(`${name.replace(/^(source|data) /, '')} is gone`);
  }
  if (reasons.length === 0) return 'its result is not in the cache any more';
  const more = reasons.length - shownReasons;
  return more > 0 ? `${reasons.slice(0, shownReasons).join('; ')}; and ${more} more` : reasons.join('; ');
}

/** What of a target's own definition is another one. */
function changedArguments(was: string | undefined, is: string, names: readonly string[]): string[] {
  const [old, now] = [named(was, names), named(is, names)];
  const found = [...new Set([...now.keys(), ...old.keys()])].filter(
    (name) => !isDeepStrictEqual(old.get(name), now.get(name)),
  );
  // Kept by another version of this program, or of another machine.
  if (was === undefined || found.length === 0) return ['its definition has changed'];
  return found.map((name) => `its ${name} changed`);
}

function named(text: string | undefined, names: readonly string[]): Map<string, unknown[]> {
  const list = text === undefined ? [] : (JSON.parse(text) as unknown[]);
  const found = new Map<string, unknown[]>();
  const add = (name: string, value: unknown) => found.set(name, [...(found.get(name) ?? []), value]);
  list.forEach((value, place) => {
    const name = names[place];
    if (name === 'cmd') for (const [part, each] of ofAction(value)) add(part, each);
    else if (name !== undefined) add(name, value);
    // The platform's name, or names with values.
    else if (Array.isArray(value)) for (const [key, each] of value as [string, unknown][]) add(snakeCase(key), each);
    else add('platform', value);
  });
  return found;
}

/** What makes the outputs, by the argument that says so. */
function ofAction(action: unknown): [string, unknown][] {
  const { kind, command, content, name, config } = action as Record<string, unknown>;
  if (kind === 'shell') return [['cmd', command]];
  if (kind === 'text') return [['content', content]];
  const settings =
    typeof config === 'object' && config !== null ? Object.entries(config) : [['settings', config] as const];
  return [['rule', [kind, name]], ...settings.map(([key, each]): [string, unknown] => [snakeCase(key), each])];
}

function snakeCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
