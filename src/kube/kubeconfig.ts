import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { nearest } from '../fault/index.ts';
import { KubeFault } from './fault.ts';

/** Where a cluster is and how to show who asks. */
export interface Credentials {
  readonly context: string;
  readonly server: URL;
  /** The context's, `default` where it has none. */
  readonly namespace: string;
  /** Certificates, headers and, where a proxy needs it, an agent, for each request. Asked again each time: tokens expire. */
  options(): Promise<RequestOptions>;
}

interface Entry {
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** Relative paths in an entry are relative to its file. */
  readonly folder: string;
}

/**
 * Reads a kubeconfig as kubectl does: the given file, else the files of `$KUBECONFIG` merged with the first one winning, else
 * `~/.kube/config`.
 *
 * @throws KubeFault kube/no-kubeconfig, kube/bad-kubeconfig, kube/unknown-context
 */
export async function readKubeconfig(path: string | undefined, context: string | undefined): Promise<Credentials> {
  const files = path !== undefined ? [path] : defaultFiles();
  const lists: Record<'clusters' | 'contexts' | 'users', Entry[]> = { clusters: [], contexts: [], users: [] };
  let current: string | undefined;
  let found = 0;
  for (const file of files) {
    const config = await readOne(file);
    if (config === undefined) continue;
    found++;
    const said = config['current-context'];
    if (typeof said === 'string' && said !== '') current ??= said;
    for (const [list, key] of [
      ['clusters', 'cluster'],
      ['contexts', 'context'],
      ['users', 'user'],
    ] as const) {
      for (const entry of entries(config[list], key, file)) {
        if (!lists[list].some(({ name }) => name === entry.name)) lists[list].push(entry);
      }
    }
  }
  if (found === 0) {
    throw new KubeFault('kube/no-kubeconfig', `there is no kubeconfig at ${files.join(' or ')}`, {
      next: 'start the local cluster with `banksman up`, or name a kubeconfig in KUBECONFIG',
    });
  }
  const where = files.join(' or ');
  const wanted = context ?? current;
  if (wanted === undefined) {
    throw new KubeFault('kube/unknown-context', `${where} has no current context`, {
      next: `name one of: ${names(lists.contexts)}`,
    });
  }
  const chosen = lists.contexts.find(({ name }) => name === wanted);
  if (chosen === undefined) {
    const meant = nearest(
      wanted,
      lists.contexts.map(({ name }) => name),
    );
    throw new KubeFault('kube/unknown-context', `${where} has no context ${wanted}`, {
      next: meant !== undefined ? `did you mean ${meant}?` : `name one of: ${names(lists.contexts)}`,
    });
  }
  const cluster = lists.clusters.find(({ name }) => name === chosen.value.cluster);
  if (cluster === undefined || typeof cluster.value.server !== 'string' || !URL.canParse(cluster.value.server)) {
    throw new KubeFault('kube/bad-kubeconfig', `context ${wanted} in ${where} has no cluster with a server`, {
      next: 'mend the kubeconfig: kubectl config view',
    });
  }
  const user = lists.users.find(({ name }) => name === chosen.value.user) ?? {
    name: '',
    value: {},
    folder: cluster.folder,
  };
  const namespace = typeof chosen.value.namespace === 'string' ? chosen.value.namespace : 'default';
  return {
    context: wanted,
    server: new URL(cluster.value.server),
    namespace,
    options: isPlain(cluster, user)
      ? await plainOptions(cluster, user, where)
      : await clientOptions(cluster, user, chosen),
  };
}

function defaultFiles(): string[] {
  const listed = (process.env.KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  return listed.length > 0 ? listed : [join(homedir(), '.kube', 'config')];
}

async function readOne(file: string): Promise<Record<string, unknown> | undefined> {
  let source: string;
  try {
    source = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new KubeFault('kube/bad-kubeconfig', `${file} can't be read: ${(cause as Error).message}`, { cause });
  }
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    // Without a frame: the lines hold keys and tokens.
    throw new KubeFault('kube/bad-kubeconfig', `${file} is not YAML: ${error.message}`, {
      place: { file, line, column: col },
    });
  }
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (value === null || value === undefined) return {};
  if (!isRecord(value)) throw new KubeFault('kube/bad-kubeconfig', `${file} is not a kubeconfig`, { place: { file } });
  return value;
}

function entries(list: unknown, key: string, file: string): Entry[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((item: unknown) => {
    if (!isRecord(item) || typeof item.name !== 'string') return [];
    const value = item[key];
    return [{ name: item.name, value: isRecord(value) ? value : {}, folder: dirname(resolve(file)) }];
  });
}

function names(contexts: readonly Entry[]): string {
  return contexts.map(({ name }) => name).join(', ') || '(it has none)';
}

/** Certificates and tokens need no library. Loading the client library for them would cost more than all requests together. */
function isPlain(cluster: Entry, user: Entry): boolean {
  const needsClient = ['exec', 'auth-provider', 'username', 'as', 'as-groups', 'as-uid', 'as-user-extra'];
  return needsClient.every((key) => user.value[key] === undefined) && cluster.value['proxy-url'] === undefined;
}

async function plainOptions(cluster: Entry, user: Entry, where: string): Promise<() => Promise<RequestOptions>> {
  const read = (entry: Entry, key: string) => dataOrFile(entry, key, where);
  const [ca, cert, key] = await Promise.all([
    read(cluster, 'certificate-authority'),
    read(user, 'client-certificate'),
    read(user, 'client-key'),
  ]);
  const serverName = cluster.value['tls-server-name'];
  const tls: RequestOptions = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(cluster.value['insecure-skip-tls-verify'] === true && { rejectUnauthorized: false }),
    ...(typeof serverName === 'string' && { servername: serverName }),
  };
  const { token, tokenFile } = user.value;
  return async () => {
    let bearer = typeof token === 'string' ? token : undefined;
    // Projected tokens are replaced in place before they expire. kubectl prefers the file where both are given.
    if (typeof tokenFile === 'string') bearer = (await readFile(resolve(user.folder, tokenFile), 'utf8')).trim();
    return { ...tls, ...(bearer !== undefined && { headers: { authorization: `Bearer ${bearer}` } }) };
  };
}

async function dataOrFile(entry: Entry, key: string, where: string): Promise<Buffer | undefined> {
  const data = entry.value[`${key}-data`];
  if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64');
  const path = entry.value[key];
  if (typeof path !== 'string' || path === '') return undefined;
  try {
    return await readFile(resolve(entry.folder, path));
  } catch (cause) {
    throw new KubeFault('kube/bad-kubeconfig', `${key} of ${entry.name} in ${where}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** Credential programs, sign-in by OIDC, proxies, impersonation: as Kubernetes' own client does it. */
async function clientOptions(cluster: Entry, user: Entry, context: Entry): Promise<() => Promise<RequestOptions>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const { Agent } = await import('node:https');
  const config = new KubeConfig();
  const absolute = ({ value, folder }: Entry, ...keys: string[]) => {
    const copy: Record<string, unknown> = { ...value };
    for (const key of keys) if (typeof copy[key] === 'string') copy[key] = resolve(folder, copy[key]);
    return copy;
  };
  config.loadFromString(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: cluster.name, cluster: absolute(cluster, 'certificate-authority') }],
      users: [{ name: user.name, user: absolute(user, 'client-certificate', 'client-key', 'tokenFile') }],
      contexts: [{ name: context.name, context: context.value }],
      'current-context': context.name,
    }),
  );
  const impersonation: Record<string, string | string[]> = {};
  if (typeof user.value.as === 'string') impersonation['impersonate-user'] = user.value.as;
  if (Array.isArray(user.value['as-groups'])) impersonation['impersonate-group'] = user.value['as-groups'].map(String);
  return async () => {
    const options: RequestOptions = {};
    try {
      await config.applyToHTTPSOptions(options as Parameters<typeof config.applyToHTTPSOptions>[0]);
    } catch (cause) {
      throw new KubeFault('kube/unauthorized', `user ${user.name} can't sign in: ${(cause as Error).message}`, {
        cause,
        next: 'sign in as you do for kubectl, and try again',
      });
    }
    // Its own agent for a direct connection is made for each request; ours keeps connections.
    if (options.agent instanceof Agent && cluster.value['proxy-url'] === undefined) delete options.agent;
    return { ...options, headers: { ...(options.headers as Record<string, string>), ...impersonation } };
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
