import type { Json, Target } from '../../graph/index.ts';
import { ReleaseFault } from '../fault.ts';

/** What a rule gave its built-in action. @throws ReleaseFault release/bad-rule */
export function configOf(target: Target): Config {
  const { action } = target;
  const config = action.kind === 'builtin' ? action.config : undefined;
  if (typeof config !== 'object' || config === null || Array.isArray(config)) throw badRule(target, 'it has no config');
  return config as Config;
}

export type Config = Readonly<Record<string, Json>>;

/** Texts, lists and dicts out of it. @throws ReleaseFault release/bad-rule */
export function readText(config: Config, key: string, target: Target): string {
  const value = config[key];
  if (typeof value !== 'string') throw badRule(target, `${key} is not a text`);
  return value;
}

export function readTexts(config: Config, key: string, target: Target): string[] {
  const value = config[key];
  if (!Array.isArray(value) || !value.every((entry) => typeof entry === 'string')) {
    throw badRule(target, `${key} is not a list of texts`);
  }
  return value;
}

export function readRecord(config: Config, key: string, target: Target): Config {
  const value = config[key];
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRule(target, `${key} is not a dict`);
  return value as Config;
}

export function onlyOutput(target: Target): string {
  const [output, ...others] = target.outs;
  if (output === undefined || others.length > 0) throw badRule(target, 'it must have one output');
  return output;
}

export function badRule(target: Target, what: string): ReleaseFault {
  return new ReleaseFault('release/bad-rule', `${target.label} is not what ${target.rule} makes: ${what}`, {
    place: target.place,
    next: 'use the built-in rule, or give its action the same config',
  });
}
