import type { Json, Target } from '../../graph/index.ts';
import type { Group, Healthcheck, ImageConfig, User } from '../../image/index.ts';
import { badRule, type Config, readRecord, readTexts } from './action-config.ts';

/** How containers of the image run. What the rule leaves open is the base's, or the default. */
export function imageConfig(config: Config, target: Target): ImageConfig {
  const entrypoint = readTexts(config, 'entrypoint', target);
  const cmd = readTexts(config, 'cmd', target);
  const labels = textsOf(config, 'image_labels', target);
  const ports = listOf(config.ports, 'ports', target).map(String);
  const volumes = listOf(config.volumes, 'volumes', target).map(String);
  const { user, workdir, stop_signal: stopSignal, healthcheck } = config;
  return {
    env: textsOf(config, 'env', target),
    ...(entrypoint.length > 0 && { entrypoint }),
    ...(cmd.length > 0 && { cmd }),
    ...(typeof user === 'string' && { user }),
    ...(typeof workdir === 'string' && { workdir }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(ports.length > 0 && { exposedPorts: ports.map((port) => (port.includes('/') ? port : `${port}/tcp`)) }),
    ...(volumes.length > 0 && { volumes }),
    ...(typeof stopSignal === 'string' && { stopSignal }),
    ...(healthcheck !== undefined && healthcheck !== null && { healthcheck: healthcheckOf(healthcheck, target) }),
  };
}

const healthcheckKeys = ['cmd', 'interval', 'timeout', 'start_period', 'start_interval', 'retries'];

function healthcheckOf(value: Json, target: Target): Healthcheck {
  if (typeof value === 'string' || Array.isArray(value)) return { test: testOf(value, target) };
  const form = dictOf(value, 'healthcheck', healthcheckKeys, target);
  const { retries } = form;
  return {
    test: testOf(form.cmd ?? null, target),
    interval: durationOf(form.interval, 'interval', target),
    timeout: durationOf(form.timeout, 'timeout', target),
    startPeriod: durationOf(form.start_period, 'start_period', target),
    startInterval: durationOf(form.start_interval, 'start_interval', target),
    ...(typeof retries === 'number' && { retries }),
  };
}

/** A list is a program and its arguments; a text is a line for a shell. */
function testOf(value: Json, target: Target): string[] {
  if (typeof value === 'string') return ['CMD-SHELL', value];
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return ['CMD', ...(value as string[])];
  throw badRule(target, 'healthcheck has no cmd');
}

const units: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** `1m30s` in nanoseconds; a number is seconds. */
function durationOf(value: Json | undefined, name: string, target: Target): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number') return value * 1e9;
  if (typeof value !== 'string' || !/^(\d+(ms|s|m|h))+$/.test(value)) {
    throw badRule(target, `healthcheck.${name} is not a time such as 30s or 1m30s`);
  }
  return [...value.matchAll(/(\d+)(ms|s|m|h)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0),
    0,
  );
}

/** @throws ReleaseFault release/bad-rule */
export function usersOf(config: Config, target: Target): Record<string, User> {
  return mapRecord(config, 'users', target, (value, name) => {
    if (typeof value === 'number') return { uid: value };
    const { uid, gid, home, shell } = dictOf(value, `users[${name}]`, ['uid', 'gid', 'home', 'shell'], target);
    if (typeof uid !== 'number') throw badRule(target, `users[${name}] has no uid`);
    return {
      uid,
      ...(typeof gid === 'number' && { gid }),
      ...(typeof home === 'string' && { home }),
      ...(typeof shell === 'string' && { shell }),
    };
  });
}

/** @throws ReleaseFault release/bad-rule */
export function groupsOf(config: Config, target: Target): Record<string, Group> {
  return mapRecord(config, 'groups', target, (value, name) => {
    if (typeof value === 'number') return { gid: value };
    const { gid, members } = dictOf(value, `groups[${name}]`, ['gid', 'members'], target);
    if (typeof gid !== 'number') throw badRule(target, `groups[${name}] has no gid`);
    return { gid, members: listOf(members, `groups[${name}].members`, target).map(String) };
  });
}

/** `"0640"`, as chmod(1) takes it. */
export function modeOf(value: Json | undefined, target: Target): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && /^[0-7]{3,5}$/.test(value)) return Number.parseInt(value, 8);
  throw badRule(target, `${JSON.stringify(value)} is not a mode such as "0640"`);
}

export function ownerText(value: Json | undefined, target: Target): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  throw badRule(target, `${JSON.stringify(value)} is not an owner such as "app:app"`);
}

function textsOf(config: Config, key: string, target: Target): Record<string, string> {
  return mapRecord(config, key, target, (value, name) => {
    if (typeof value === 'string') return value;
    throw badRule(target, `${key}[${name}] is not a text`);
  });
}

function mapRecord<T>(
  config: Config,
  key: string,
  target: Target,
  read: (value: Json, name: string) => T,
): Record<string, T> {
  if (config[key] === undefined || config[key] === null) return {};
  return Object.fromEntries(
    Object.entries(readRecord(config, key, target)).map(([name, value]) => [name, read(value, name)]),
  );
}

function dictOf(value: Json, what: string, keys: readonly string[], target: Target): Config {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRule(target, `${what} is not a dict`);
  for (const key of Object.keys(value)) {
    if (!keys.includes(key)) throw badRule(target, `${what} has the key ${key}, and takes ${keys.join(', ')}`);
  }
  return value as Config;
}

function listOf(value: Json | undefined, what: string, target: Target): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw badRule(target, `${what} is not a list`);
}
