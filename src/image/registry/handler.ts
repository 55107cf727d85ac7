import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BlobStore } from '../store.ts';
import { answer, Refusal, refuse } from './answer.ts';
import { deleteBlob, getBlob } from './blobs.ts';
import { defaultPace, drain, type Pace } from './body.ts';
import { repositoryNames } from './layout.ts';
import { deleteManifest, getManifest, listReferrers, listTags, page, putManifest } from './manifests.ts';
import { openRepository, type Repository } from './repository.ts';
import { type Route, routeOf } from './route.ts';
import { openUploads } from './upload-folder.ts';
import { createUploads, type Uploads } from './uploads.ts';
import { createUsage, type Quota, type Usage } from './usage.ts';

export type RegistryAction = 'pull' | 'push' | 'delete';

/** What may be done; or the header WWW-Authenticate for a client that should say who it is. RFC 9110, 11.6.1. */
export type Permission = boolean | { readonly challenge: string };

export interface RegistryOptions {
  /** Folder of repositories, tags and uploads. */
  readonly root: string;
  /**
   * A client that names a blob of the store by its digest (a mount without `from`) gets it into its repository without
   * sending it. For a store shared with the builder, where every client may have everything.
   */
  readonly discover?: boolean;
  /** Asked before each request; what it denies is answered with 403. Everything is allowed where it is absent. */
  readonly authorize?: (
    request: IncomingMessage,
    action: RegistryAction,
    repository: string | undefined,
  ) => Permission | Promise<Permission>;
  /** Answers `/token`, where clients get tokens by their name and password. */
  readonly token?: (request: IncomingMessage, query: URLSearchParams) => Promise<object>;
  readonly quotas?: readonly Quota[];
  /** Bytes; 32 GiB unless told. */
  readonly maximumBlob?: number;
  /** Milliseconds after which an upload to which nothing comes is given up; a day unless told. */
  readonly uploadsExpireAfter?: number;
  readonly pace?: Pace;
  /** Milliseconds after which a request that sends nothing to its upload gives way to the next one; 2 s unless told. */
  readonly silence?: number;
  /** Told of what went wrong on the server's side; the client only hears that something did. */
  readonly onError?: (error: unknown) => void;
}

interface Context {
  readonly options: RegistryOptions;
  readonly uploads: Uploads;
  readonly usage: Usage;
  readonly pace: Pace;
  readonly repository: (name: string) => Repository;
}

const maximumBlob = 32 * 1024 ** 3;

/**
 * A registry, OCI distribution-spec 1.1, for `createServer(handler)` of node:http or node:https; the caller listens.
 * Every change is atomic on disk: a crash at any moment leaves a registry that serves what it served before, or more.
 */
export function createRegistryHandler(
  store: BlobStore,
  options: RegistryOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { root } = options;
  const usage = createUsage(root, options.quotas ?? []);
  const pace = options.pace ?? defaultPace;
  const repository = (name: string) => openRepository(store, root, name, usage);
  const uploads = createUploads({
    root,
    store,
    folder: openUploads(root, options.uploadsExpireAfter),
    usage,
    discover: options.discover ?? false,
    maximumBlob: options.maximumBlob ?? maximumBlob,
    pace,
    silence: options.silence ?? 2_000,
    repository,
  });
  const context: Context = { options, uploads, usage, pace, repository };
  return (request, response) => {
    handle(request, response, context)
      .catch((error: unknown) => {
        if (response.headersSent || response.destroyed) {
          response.destroy();
          return;
        }
        if (error instanceof Refusal) return refuse(response, error);
        if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
          options.onError?.(error);
          return refuse(response, new Refusal(507, 'DENIED', 'the disk of the registry is full'));
        }
        if (!request.destroyed) options.onError?.(error);
        refuse(response, new Refusal(500, 'UNKNOWN', 'the registry could not do that'));
      })
      .finally(() => drain(request));
  };
}

async function handle(request: IncomingMessage, response: ServerResponse, context: Context): Promise<void> {
  const { options } = context;
  if (!URL.canParse(request.url ?? '/', 'http://registry/'))
    throw new Refusal(400, 'NAME_INVALID', 'the path is not well formed');
  const url = new URL(request.url ?? '/', 'http://registry/');
  const query = url.searchParams;
  const route = routeOf(url.pathname);
  const method = request.method ?? 'GET';
  if (route.kind === 'token') {
    if (options.token === undefined) throw new Refusal(404, 'UNSUPPORTED', 'there are no tokens here');
    if (method !== 'GET') throw notAllowed('GET');
    return sendJson(response, await options.token(request, query));
  }
  const action: RegistryAction =
    method === 'GET' || method === 'HEAD' ? 'pull' : method === 'DELETE' && route.kind !== 'upload' ? 'delete' : 'push';
  const name = 'repository' in route ? route.repository : undefined;
  await permit(options, request, action, name);
  // A mount hands out what another repository holds: who may not pull there may not mount from there.
  const from = query.get('from');
  if (route.kind === 'uploads' && from !== null && options.authorize) {
    if ((await options.authorize(request, 'pull', from)) !== true) query.delete('from');
  }
  if (route.kind === 'base') {
    if (action !== 'pull') throw notAllowed('GET, HEAD');
    return sendJson(response, {});
  }
  if (route.kind === 'catalog') {
    if (action !== 'pull') throw notAllowed('GET, HEAD');
    return listRepositories(request, response, options, query);
  }
  await dispatch(method, route, request, response, context, query);
}

/** @throws Refusal 401 or 403 */
async function permit(
  options: RegistryOptions,
  request: IncomingMessage,
  action: RegistryAction,
  repository: string | undefined,
): Promise<void> {
  const permission = (await options.authorize?.(request, action, repository)) ?? true;
  if (permission === true) return;
  if (permission === false) throw new Refusal(403, 'DENIED', `this client may not ${action} ${repository ?? 'here'}`);
  const said = request.headers.authorization !== undefined;
  throw new Refusal(
    401,
    'UNAUTHORIZED',
    said ? 'the name, the password or the token is wrong, or the token was for something else' : 'say who you are',
    { 'www-authenticate': permission.challenge },
  );
}

/** Names of those repositories that the client may pull from. Not of the specification; Docker's registry has it. */
async function listRepositories(
  request: IncomingMessage,
  response: ServerResponse,
  options: RegistryOptions,
  query: URLSearchParams,
): Promise<void> {
  const allowed: string[] = [];
  for (const name of await repositoryNames(options.root))
    if (((await options.authorize?.(request, 'pull', name)) ?? true) === true) allowed.push(name);
  const { list, link } = page(allowed, query, '/v2/_catalog');
  sendJson(response, { repositories: list }, link);
}

async function dispatch(
  method: string,
  route: Exclude<Route, { kind: 'base' | 'catalog' | 'token' }>,
  request: IncomingMessage,
  response: ServerResponse,
  { uploads, usage, pace, repository: open }: Context,
  query: URLSearchParams,
): Promise<void> {
  const repository = open(route.repository);
  const reads = method === 'GET' || method === 'HEAD';
  switch (route.kind) {
    case 'blob':
      if (reads) return getBlob(request, response, repository, route.digest);
      if (method === 'DELETE') return deleteBlob(response, repository, route.digest);
      throw notAllowed('GET, HEAD, DELETE');
    case 'manifest':
      if (reads) return getManifest(request, response, repository, route.reference);
      if (method === 'PUT') return putManifest(request, response, repository, route.reference, query, usage, pace);
      if (method === 'DELETE') return deleteManifest(response, repository, route.reference);
      throw notAllowed('GET, HEAD, PUT, DELETE');
    case 'uploads':
      if (method === 'POST') return uploads.begin(request, response, repository, query);
      throw notAllowed('POST');
    case 'upload':
      if (method === 'PATCH') return uploads.append(request, response, repository, route.id);
      if (method === 'PUT') return uploads.finish(request, response, repository, route.id, query);
      if (method === 'GET') return uploads.status(response, repository, route.id);
      if (method === 'DELETE') return uploads.cancel(response, repository, route.id);
      throw notAllowed('PATCH, PUT, GET, DELETE');
    case 'tags':
      if (reads) return listTags(response, repository, query);
      throw notAllowed('GET, HEAD');
    case 'referrers':
      if (reads) return listReferrers(response, repository, route.digest, query);
      throw notAllowed('GET, HEAD');
  }
}

function sendJson(response: ServerResponse, value: object, headers: Readonly<Record<string, string>> = {}): void {
  answer(response, 200, { 'content-type': 'application/json', ...headers }, JSON.stringify(value));
}

function notAllowed(allow: string): Refusal {
  return new Refusal(405, 'UNSUPPORTED', `only ${allow} here`, { allow });
}
