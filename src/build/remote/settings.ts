import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { RemoteCacheForm, Workspace } from '../../graph/index.ts';
import { BuildFault } from '../fault.ts';

/** Where a remote cache is, and how it is asked. */
export interface RemoteCacheSettings {
  /** As a person wrote it. */
  readonly url: string;
  /** `host:port`. */
  readonly authority: string;
  /** PEM of the certificates that the server's is checked against, those of Node where undefined. Undefined as a whole: no TLS. */
  readonly tls: { readonly ca: Buffer | undefined } | undefined;
  /** Value of the header `authorization`. */
  readonly authorization: string | undefined;
  readonly instance: string;
  /** False: it is only read. */
  readonly upload: boolean;
  /** What the person should know, such as a variable that is not set. */
  readonly warnings: readonly string[];
}

/** The variable that a token is looked for in, where the workspace names none. */
const defaultTokenVariable = 'BANKSMAN_REMOTE_CACHE_TOKEN';

/**
 * `remote_cache` of banksman.yaml, and in its place or over it `BANKSMAN_REMOTE_CACHE`: an address, or `off`.
 *
 * @returns undefined where none is wanted
 * @throws BuildFault build/bad-remote-cache
 */
export async function remoteCacheSettings(
  workspace: Pick<Workspace, 'root' | 'remoteCache'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<RemoteCacheSettings | undefined> {
  const form: Partial<RemoteCacheForm> = workspace.remoteCache ?? {};
  const said = env.BANKSMAN_REMOTE_CACHE;
  if (said === 'off') return undefined;
  const url = said === undefined || said === '' ? form.url : said;
  if (url === undefined) return undefined;
  const { authority, secure, local } = parseUrl(url, said === url ? 'BANKSMAN_REMOTE_CACHE' : 'remote_cache.url');
  const warnings: string[] = [];
  const token = await readToken(workspace.root, form, env, warnings);
  if (token !== undefined && !secure && !local) {
    throw new BuildFault('build/bad-remote-cache', `a token would go to ${url} in the clear`, {
      place: workspace.remoteCache?.place,
      next: 'use grpcs://',
    });
  }
  return {
    url,
    authority,
    tls: secure
      ? { ca: form.ca === undefined ? undefined : await readNamed(workspace.root, form.ca, 'ca', form) }
      : undefined,
    authorization: token === undefined || /^[A-Za-z]+ ./.test(token) ? token : `Bearer ${token}`,
    instance: form.instance ?? '',
    upload: form.upload ?? true,
    warnings,
  };
}

function parseUrl(url: string, where: string): { authority: string; secure: boolean; local: boolean } {
  const [, scheme, host, port] =
    /^(grpcs?):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?\/?$/.exec(url) ?? [];
  if (scheme === undefined || host === undefined || Number(port ?? 0) > 65535) {
    throw new BuildFault('build/bad-remote-cache', `${where}: ${JSON.stringify(url)} is no address of a remote cache`, {
      next: 'write it as grpcs://host:port, or grpc://host:port without TLS',
    });
  }
  const secure = scheme === 'grpcs';
  const local = host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
  return { authority: `${host}:${port ?? (secure ? 443 : 80)}`, secure, local };
}

async function readToken(
  root: string,
  form: Partial<RemoteCacheForm>,
  env: Readonly<Record<string, string | undefined>>,
  warnings: string[],
): Promise<string | undefined> {
  const variable = form.tokenEnv ?? defaultTokenVariable;
  const value = env[variable]?.trim();
  const token = value === undefined || value === '' ? await readTokenFile(root, form) : value;
  if (token === undefined && form.tokenEnv !== undefined && form.tokenFile === undefined) {
    warnings.push(`${variable} is not set: the remote cache is asked without a token`);
  }
  if (token !== undefined && !/^[\x20-\x7e]+$/.test(token)) {
    throw new BuildFault(
      'build/bad-remote-cache',
      'the token of the remote cache has characters that no header can have',
      {
        place: form.place,
        next: `set ${variable} to the token alone`,
      },
    );
  }
  return token;
}

async function readTokenFile(root: string, form: Partial<RemoteCacheForm>): Promise<string | undefined> {
  if (form.tokenFile === undefined) return undefined;
  return (await readNamed(root, form.tokenFile, 'token_file', form)).toString('utf8').trim();
}

async function readNamed(root: string, path: string, key: string, form: Partial<RemoteCacheForm>): Promise<Buffer> {
  const absolute = isAbsolute(path) ? path : join(root, path);
  try {
    return await readFile(absolute);
  } catch (error) {
    throw new BuildFault('build/bad-remote-cache', `remote_cache.${key}: ${path} can't be read`, {
      place: form.place,
      notes: [(error as Error).message],
      next: `put the file there, or correct ${key}`,
      cause: error,
    });
  }
}
