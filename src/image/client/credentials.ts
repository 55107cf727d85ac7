import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ImageFault } from '../fault.ts';
import { askHelper, type Credentials } from './helper.ts';

/**
 * What `docker login`, `podman login` and `skopeo login` left for a registry. The first of these files that knows the
 * registry counts: `$REGISTRY_AUTH_FILE` (alone where it is set), `$DOCKER_CONFIG/config.json` or
 * `~/.docker/config.json`, `$XDG_RUNTIME_DIR/containers/auth.json`, `~/.config/containers/auth.json`. In a file the
 * registry's own credential helper is asked first, then the store for all, then `auths`. Undefined where nothing is found.
 *
 * @param repository for files of containers-auth.json(5), where a part of a registry may have credentials of its own
 * @throws ImageFault image/registry-unauthorized where a file can't be understood, or a helper fails
 */
export async function storedCredentials(registry: string, repository = ''): Promise<Credentials | undefined> {
  for (const path of files()) {
    const found = await credentialsIn(path, registry, repository);
    if (found !== undefined) return found;
  }
  return undefined;
}

function files(): string[] {
  const { REGISTRY_AUTH_FILE, DOCKER_CONFIG, XDG_RUNTIME_DIR, XDG_CONFIG_HOME } = process.env;
  if (REGISTRY_AUTH_FILE) return [REGISTRY_AUTH_FILE];
  return [
    join(DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json'),
    ...(XDG_RUNTIME_DIR ? [join(XDG_RUNTIME_DIR, 'containers/auth.json')] : []),
    join(XDG_CONFIG_HOME || join(homedir(), '.config'), 'containers/auth.json'),
  ];
}

async function credentialsIn(path: string, registry: string, repository: string): Promise<Credentials | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EACCES') return undefined;
    throw error;
  });
  if (text === undefined || text.trim() === '') return undefined;
  // The text holds secrets: a fault must not carry it.
  const bad = (why: string) =>
    new ImageFault('image/registry-unauthorized', `${path} ${why}`, { next: `run: docker login ${registry}` });
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text);
  } catch {
    throw bad('is not JSON');
  }
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw bad('is no JSON object');
  const auths = section(json, 'auths', bad);
  const helpers = section(json, 'credHelpers', bad);
  const keys = names(registry);
  const helper = keys.map((name) => helpers[name]).find((found) => found !== undefined) ?? json.credsStore;
  if (helper !== undefined && helper !== '') {
    if (typeof helper !== 'string') throw bad('names a credential helper that is no text');
    // A helper knows a registry under one name: that of the file, or the usual one.
    const server = keys.find((name) => name in auths) ?? (registry === 'docker.io' ? hub : registry);
    const found = await askHelper(helper, server, registry);
    if (found !== undefined) return found;
  }
  const entry = [...nested(registry, repository), ...keys]
    .map((name) => auths[name])
    .find((found) => found !== undefined && found !== null) as Record<string, unknown> | undefined;
  if (entry === undefined) return undefined;
  if (typeof entry.identitytoken === 'string' && entry.identitytoken !== '')
    return { identityToken: entry.identitytoken };
  if (typeof entry.username === 'string' && typeof entry.password === 'string' && entry.username !== '')
    return { username: entry.username, password: entry.password };
  if (typeof entry.auth !== 'string' || entry.auth === '') return undefined;
  const decoded = Buffer.from(entry.auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const colon = decoded.indexOf(':');
  if (colon < 1) throw bad(`has no usable auth for ${registry}`);
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

function section(
  json: Record<string, unknown>,
  key: string,
  bad: (why: string) => ImageFault,
): Record<string, unknown> {
  const value = json[key] ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) throw bad(`has ${key} that is no object`);
  return value as Record<string, unknown>;
}

/** `registry/a/b`, `registry/a`: the longest first. */
function nested(registry: string, repository: string): string[] {
  const parts = repository === '' ? [] : repository.split('/');
  return parts.map((_, index) => [registry, ...parts.slice(0, parts.length - index)].join('/'));
}

/** Docker's name for its own registry. */
const hub = 'https://index.docker.io/v1/';

function names(registry: string): string[] {
  const own = [
    registry,
    `https://${registry}`,
    `https://${registry}/`,
    `https://${registry}/v1/`,
    `https://${registry}/v2/`,
    `http://${registry}`,
  ];
  return registry === 'docker.io' ? [...own, hub, 'index.docker.io', 'registry-1.docker.io'] : own;
}
