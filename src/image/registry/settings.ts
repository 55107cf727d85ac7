import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isMap, isScalar, isSeq, LineCounter, type Node, type ParsedNode, parseDocument } from 'yaml';
import { nearest } from '../../fault/index.ts';
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
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const placed = (offset: number | undefined, message: string, next?: string) => {
    const at = lines.linePos(offset ?? 0);
    const place = { file, line: at.line, column: at.col, source: text };
    return new ImageFault('image/bad-registry-settings', message, { place, next });
  };
  const [broken] = document.errors;
  if (broken) throw placed(broken.pos[0], broken.message.split('\n')[0] ?? 'not YAML');
  const bad: Bad = (node, message, next) => placed(node?.range?.[0], message, next);
  const folder = dirname(resolve(file));
  const top = fields(document.contents, 'the file', topKeys, bad);
  const users = Object.fromEntries(
    entries(top.users, 'users', bad).map(([name, node]) => {
      if (!/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/.test(name) || name === 'anonymous')
        throw bad(node, `${JSON.stringify(name)} can't be the name of a user`);
      return [name, readUser(node, name, bad)];
    }),
  );
  const rules = list(top.access, 'access', bad).map((node) => readRule(node, users, bad));
  const tls = top.tls && fields(top.tls, 'tls', ['cert', 'key', 'client_ca'], bad);
  if (tls && (!tls.cert || !tls.key)) throw bad(top.tls, 'tls needs cert and key');
  const challenge = top.challenge && textOf(top.challenge, 'challenge', /^(?:basic|token)$/, 'basic or token', bad);
  const path = (node: Node | undefined, name: string) => resolve(folder, textOf(node, name, /./, 'a path', bad));
  return {
    users,
    rules,
    quotas: entries(top.quotas, 'quotas', bad).map(([prefix, node]) => ({
      prefix: prefix === 'total' ? '' : prefix.replace(/\/+$/, ''),
      bytes: bytesOf(textOf(node, prefix, sizePattern, 'a size: 10GiB', bad)),
    })),
    ...(top.listen && { listen: textOf(top.listen, 'listen', /^\S+:\d{1,5}$/, 'an address: 127.0.0.1:5000', bad) }),
    ...(tls && {
      tls: {
        cert: path(tls.cert, 'cert'),
        key: path(tls.key, 'key'),
        ...(tls.client_ca && { clientAuthorities: path(tls.client_ca, 'client_ca') }),
      },
    }),
    ...(challenge && { challenge: challenge as 'basic' | 'token' }),
    ...(top.maximum_blob && {
      maximumBlob: bytesOf(textOf(top.maximum_blob, 'maximum_blob', sizePattern, 'a size: 10GiB', bad)),
    }),
    ...(top.uploads_expire && {
      uploadsExpireAfter: durationOf(textOf(top.uploads_expire, 'uploads_expire', durationPattern, 'a time: 24h', bad)),
    }),
  };
}

const topKeys = ['listen', 'tls', 'users', 'access', 'challenge', 'quotas', 'maximum_blob', 'uploads_expire'] as const;

type Bad = (node: Node | null | undefined, message: string, next?: string) => ImageFault;

function readUser(node: Node | undefined, name: string, bad: Bad): RegistryUser {
  const user = fields(node, `users.${name}`, ['password', 'tokens'], bad);
  if (!user.password && !user.tokens)
    throw bad(node, `the user ${name} has neither a password nor tokens`, 'run: banksman registry password');
  const password = user.password && textOf(user.password, 'password', /./, 'the sum of a password', bad);
  // What stands there in its place may be the password itself: it is not shown.
  if (password !== undefined && !isPasswordHash(password))
    throw placeOnly(
      bad(node, `the password of ${name} is not a sum of one`, 'write what this prints: banksman registry password'),
    );
  const tokens = list(user.tokens, 'tokens', bad).map((each) => {
    const token = textOf(each, 'tokens', /./, 'the sum of a token', bad);
    if (!/^sha256:[0-9a-f]{64}$/.test(token))
      throw placeOnly(
        bad(node, `a token of ${name} is not a sum of one`, 'write what this prints: banksman registry token'),
      );
    return token;
  });
  return { ...(password !== undefined && { password }), tokens };
}

/** The fault without the lines around, which may hold a secret. */
function placeOnly(fault: ImageFault): ImageFault {
  const { file, line } = fault.place!;
  return new ImageFault(fault.code, fault.message, { place: { file, ...(line && { line }) }, next: fault.next });
}

function readRule(node: Node, users: Readonly<Record<string, RegistryUser>>, bad: Bad): AccessRule {
  const rule = fields(node, 'access', ['repositories', 'pull', 'push', 'delete'], bad);
  const names = (of: Node | undefined, what: string) =>
    list(of, what, bad).map((each) => {
      const name = textOf(each, what, /./, 'the name of a user', bad);
      if (name === '*' || name === 'anonymous' || Object.hasOwn(users, name)) return name;
      const near = nearest(name, Object.keys(users));
      throw bad(each, `there is no user ${name}`, near && `did you mean ${near}?`);
    });
  const pattern = textOf(
    rule.repositories,
    'repositories',
    /^(?:[a-z0-9._-]+|\*{1,2})(?:\/(?:[a-z0-9._-]+|\*{1,2}))*$/,
    'a pattern of repositories: bank/**',
    bad,
    node,
  );
  return {
    repositories: pattern,
    pull: names(rule.pull, 'pull'),
    push: names(rule.push, 'push'),
    delete: names(rule.delete, 'delete'),
  };
}

function fields<K extends string>(
  node: Node | ParsedNode | null | undefined,
  what: string,
  keys: readonly K[],
  bad: Bad,
): Partial<Record<K, Node>> {
  const found: Partial<Record<K, Node>> = {};
  for (const [key, value, keyNode] of entries(node, what, bad)) {
    if (!(keys as readonly string[]).includes(key)) {
      const near = nearest(key, keys);
      throw bad(keyNode, `${what} has no key ${key}`, near ? `did you mean ${near}?` : `it has: ${keys.join(', ')}`);
    }
    found[key as K] = value;
  }
  return found;
}

function entries(node: Node | null | undefined, what: string, bad: Bad): [string, Node, Node][] {
  if (node === undefined || node === null || (isScalar(node) && node.value === null)) return [];
  if (!isMap(node)) throw bad(node, `${what} is not a mapping`);
  return node.items.map(({ key, value }) => [String((key as { value?: unknown }).value), value as Node, key as Node]);
}

function list(node: Node | undefined, what: string, bad: Bad): Node[] {
  if (node === undefined) return [];
  if (!isSeq(node)) throw bad(node, `${what} is not a list`);
  return node.items as Node[];
}

function textOf(
  node: Node | undefined,
  what: string,
  pattern: RegExp,
  meaning: string,
  bad: Bad,
  around: Node | undefined = node,
): string {
  const value = isScalar(node) ? node.value : undefined;
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text === 'string' && pattern.test(text)) return text;
  throw bad(node ?? around, `${what} is not ${meaning}`);
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
