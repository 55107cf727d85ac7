import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { nearest, type Place } from '../../fault/index.ts';
import { entriesOf, type FormNode, fieldsOf, jsonOf, listOf, parseForm, textOf, wrong } from '../../form/index.ts';
import { ImageFault } from '../fault.ts';
import type { AccessRule, AccessSettings, RegistryUser } from './access.ts';
import { isPasswordHash } from './password.ts';
import type { Quota } from './usage.ts';

/** What `banksman registry serve` reads from its file. */
export interface RegistrySettingsFile extends AccessSettings {
  /** `127.0.0.1:5000` */
  readonly listen?: string;
  /** Absolute paths. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientAuthorities?: string };
  readonly quotas: readonly Quota[];
  /** Bytes. */
  readonly maximumBlob?: number;
  /** Milliseconds. */
  readonly uploadsExpireAfter?: number;
}

/**
 * Reads the settings of a registry. The form is in docs/registry.md.
 *
 * @throws ImageFault image/bad-registry-settings with the place
 */
export async function readRegistrySettings(path: string): Promise<RegistrySettingsFile> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new ImageFault('image/bad-registry-settings', `${path} can't be read: ${cause.message}`, { cause });
  });
  return parseRegistrySettings(text, path);
}

/** @param file its name in faults; paths in it are relative to its folder */
export function parseRegistrySettings(text: string, file: string): RegistrySettingsFile {
  const source = { file, text, internal: false };
  const form = parseForm(source, (message, { place, next }) => {
    // Lines of users, or of a file that can't be read, may hold a secret where its sum belongs: they are not shown.
    const shown = /^users\b|not valid YAML/.test(message) ? withoutLines(place) : place;
    return new ImageFault('image/bad-registry-settings', message, { place: shown, next });
  });
  const folder = dirname(resolve(file));
  const top = form.node === null ? {} : fieldsOf(form, topKeys);
  const users = Object.fromEntries(
    entries(top.users).map(({ key: name, value, place }) => {
      if (!/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/.test(name) || name === 'anonymous')
        throw value.fault(`users: ${JSON.stringify(name)} can't be the name of a user`, { place });
      return [name, readUser(value)];
    }),
  );
  const challenge =
    top.challenge && (textOf(top.challenge, /^(?:basic|token)$/, 'basic or token') as 'basic' | 'token');
  const size = (given: FormNode) => bytesOf(sizeText(given));
  return {
    users,
    rules: top.access === undefined ? [] : listOf(top.access).map((each) => readRule(each, users)),
    quotas: entries(top.quotas).map(({ key: prefix, value }) => ({
      prefix: prefix === 'total' ? '' : prefix.replace(/\/+$/, ''),
      bytes: size(value),
    })),
    ...(top.listen && { listen: textOf(top.listen, /^\S+:\d{1,5}$/, 'an address such as 127.0.0.1:5000') }),
    ...(top.tls && { tls: readTls(top.tls, folder) }),
    ...(challenge && { challenge }),
    ...(top.maximum_blob && { maximumBlob: size(top.maximum_blob) }),
    ...(top.uploads_expire && {
      uploadsExpireAfter: durationOf(textOf(top.uploads_expire, durationPattern, 'a time such as 24h')),
    }),
  };
}

const topKeys = ['listen', 'tls', 'users', 'access', 'challenge', 'quotas', 'maximum_blob', 'uploads_expire'] as const;

function entries(form: FormNode | undefined): ReturnType<typeof entriesOf> {
  return form === undefined ? [] : entriesOf(form);
}

function readTls(form: FormNode, folder: string): NonNullable<RegistrySettingsFile['tls']> {
  const { cert, key, client_ca: authorities } = fieldsOf(form, ['cert', 'key', 'client_ca']);
  if (cert === undefined || key === undefined) throw wrong(form, 'needs cert and key');
  const path = (given: FormNode) => resolve(folder, textOf(given, /./, 'a path'));
  return {
    cert: path(cert),
    key: path(key),
    ...(authorities !== undefined && { clientAuthorities: path(authorities) }),
  };
}

/** A size may be a plain number, which YAML takes for one. */
function sizeText(form: FormNode): string {
  const value = jsonOf(form);
  return typeof value === 'number' && value >= 0 ? String(value) : textOf(form, sizePattern, 'a size such as 10GiB');
}

function readUser(form: FormNode): RegistryUser {
  const { password, tokens } = fieldsOf(form, ['password', 'tokens']);
  if (password === undefined && tokens === undefined)
    throw wrong(form, 'has neither a password nor tokens', 'run: banksman registry password');
  return {
    ...(password !== undefined && {
      password: sumIn(password, isPasswordHash, 'the sum of a password', 'banksman registry password'),
    }),
    tokens:
      tokens === undefined
        ? []
        : listOf(tokens).map((each) => sumIn(each, isTokenSum, 'the sum of a token', 'banksman registry token')),
  };
}

function isTokenSum(text: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

function withoutLines(place: Place | undefined): Place | undefined {
  if (place === undefined) return undefined;
  const { source: _, ...rest } = place;
  return rest;
}

/** What stands there in place of a sum may be the secret itself: it is not shown. */
function sumIn(form: FormNode, fits: (text: string) => boolean, what: string, command: string): string {
  const { value } = (form.node ?? {}) as { readonly value?: unknown };
  if (typeof value === 'string' && fits(value)) return value;
  throw wrong(form, `is not ${what}`, `write what this prints: ${command}`);
}

function readRule(form: FormNode, users: Readonly<Record<string, RegistryUser>>): AccessRule {
  const { repositories, pull, push, delete: remove } = fieldsOf(form, ['repositories', 'pull', 'push', 'delete']);
  if (repositories === undefined) throw wrong(form, 'repositories is missing', 'add repositories: bank/**');
  const names = (of: FormNode | undefined) =>
    of === undefined
      ? []
      : listOf(of).map((each) => {
          const name = textOf(each, /./, 'the name of a user');
          if (name === '*' || name === 'anonymous' || Object.hasOwn(users, name)) return name;
          const near = nearest(name, Object.keys(users));
          throw wrong(each, `there is no user ${name}`, near && `did you mean ${near}?`);
        });
  return {
    repositories: textOf(
      repositories,
      /^(?:[a-z0-9._-]+|\*{1,2})(?:\/(?:[a-z0-9._-]+|\*{1,2}))*$/,
      'a pattern of repositories such as bank/**',
    ),
    pull: names(pull),
    push: names(push),
    delete: names(remove),
  };
}

const sizePattern = /^\d+(?:\.\d+)?\s*(?:[KMGT]i?B?|B)?$/i;

/** `10GiB`, `500 MB`, `4096`: bytes. */
export function bytesOf(text: string): number {
  const [, number = '0', unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? [];
  const letter = unit.charAt(0).toUpperCase();
  const power = ['K', 'M', 'G', 'T'].indexOf(letter) + 1;
  const base = /i/i.test(unit) || unit.length === 1 ? 1024 : 1000;
  return Math.floor(Number(number) * (letter === 'B' ? 1 : base ** power));
}

const durationPattern = /^\d+\s*(?:s|m|h|d)$/;

/** `30s`, `5m`, `24h`, `7d`: milliseconds, of a text that `isDuration` takes. */
export function durationOf(text: string): number {
  const [, number = '0', unit = 's'] = /^(\d+)\s*([smhd])$/.exec(text) ?? [];
  return Number(number) * { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit as 's' | 'm' | 'h' | 'd'];
}

export function isDuration(text: string): boolean {
  return durationPattern.test(text);
}
