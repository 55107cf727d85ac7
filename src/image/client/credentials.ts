import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ImageFault } from '../fault.ts';

/** A name and password, or a token that the registry's token service gave earlier. */
export type Credentials = { readonly username: string; readonly password: string } | { readonly identityToken: string };

/**
 * What `docker login` (or podman, with the same format) left for a registry: `auths` of `$DOCKER_CONFIG/config.json`,
 * or of `~/.docker/config.json`. Undefined where there is nothing.
 *
 * @throws ImageFault image/registry-unauthorized where the file can't be understood
 */
export async function storedCredentials(registry: string): Promise<Credentials | undefined> {
  const path = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  // The text holds secrets: a fault must not carry it.
  const bad = (why: string) =>
    new ImageFault('image/registry-unauthorized', `${path} ${why}`, { next: `run: docker login ${registry}` });
  let json: { auths?: Record<string, { auth?: unknown; identitytoken?: unknown }> };
  try {
    json = JSON.parse(text);
  } catch {
    throw bad('is not JSON');
  }
  const auths = json?.auths;
  if (auths === undefined || auths === null) return undefined;
  if (typeof auths !== 'object') throw bad('has auths that is no object');
  const entry = names(registry)
    .map((name) => auths[name])
    .find((found) => found !== undefined && found !== null);
  if (entry === undefined) return undefined;
  if (typeof entry.identitytoken === 'string' && entry.identitytoken !== '')
    return { identityToken: entry.identitytoken };
  if (typeof entry.auth !== 'string' || entry.auth === '') return undefined;
  const decoded = Buffer.from(entry.auth, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 1) throw bad(`has no usable auth for ${registry}`);
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

function names(registry: string): string[] {
  const own = [
    registry,
    `https://${registry}`,
    `https://${registry}/`,
    `https://${registry}/v1/`,
    `https://${registry}/v2/`,
  ];
  return registry === 'docker.io' ? [...own, 'https://index.docker.io/v1/'] : own;
}
