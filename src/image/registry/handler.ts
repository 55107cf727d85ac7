import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseDigest } from '../digest.ts';
import type { BlobStore } from '../store.ts';
import { answer, Refusal, refuse } from './answer.ts';
import { deleteBlob, getBlob } from './blobs.ts';
import { deleteManifest, getManifest, listReferrers, listTags, putManifest } from './manifests.ts';
import { openRepository, openUploads } from './repository.ts';
import { type Route, routeOf } from './route.ts';
import { createUploads, type Uploads } from './uploads.ts';

export type RegistryAction = 'pull' | 'push' | 'delete';

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
  ) => boolean | Promise<boolean>;
  /** Told of what went wrong on the server's side; the client only hears that something did. */
  readonly onError?: (error: unknown) => void;
}

/**
 * A registry, OCI distribution-spec 1.1, for `createServer(handler)` of node:http or node:https; the caller listens.
 * Every change is atomic on disk: a crash at any moment leaves a registry that serves what it served before, or more.
 */
export function createRegistryHandler(
  store: BlobStore,
  options: RegistryOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const uploads = createUploads(store, openUploads(options.root), options.root, options.discover ?? false);
  return (request, response) => {
    handle(request, response, store, options, uploads).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) {
        response.destroy();
        return;
      }
      // What the client still sends is not read, so that the connection can't go on.
      if (!request.complete) response.setHeader('connection', 'close');
      if (error instanceof Refusal) return refuse(response, error);
      if (!request.destroyed) options.onError?.(error);
      refuse(response, new Refusal(500, 'UNKNOWN', 'the registry could not do that'));
    });
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  store: BlobStore,
  options: RegistryOptions,
  uploads: Uploads,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://registry');
  const route = routeOf(url.pathname);
  const method = request.method ?? 'GET';
  const action: RegistryAction =
    method === 'GET' || method === 'HEAD' ? 'pull' : method === 'DELETE' && route.kind !== 'upload' ? 'delete' : 'push';
  const name = 'repository' in route ? route.repository : undefined;
  if (options.authorize && !(await options.authorize(request, action, name))) {
    throw new Refusal(403, 'DENIED', `this client may not ${action} here`);
  }
  // A mount hands out what another repository holds: who may not pull there may not mount from there.
  const from = url.searchParams.get('from');
  if (
    options.authorize &&
    route.kind === 'uploads' &&
    from !== null &&
    !(await options.authorize(request, 'pull', from))
  ) {
    url.searchParams.delete('from');
  }
  if (route.kind === 'base') {
    if (action !== 'pull') throw notAllowed('GET, HEAD');
    return answer(response, 200, { 'content-type': 'application/json' }, method === 'HEAD' ? undefined : '{}');
  }
  await dispatch(method, route, request, response, store, options, uploads, url.searchParams);
}

async function dispatch(
  method: string,
  route: Exclude<Route, { kind: 'base' }>,
  request: IncomingMessage,
  response: ServerResponse,
  store: BlobStore,
  options: RegistryOptions,
  uploads: Uploads,
  query: URLSearchParams,
): Promise<void> {
  const repository = openRepository(store, options.root, route.repository);
  const reads = method === 'GET' || method === 'HEAD';
  switch (route.kind) {
    case 'blob':
      if (reads) return getBlob(request, response, repository, parseDigest(route.reference));
      if (method === 'DELETE') return deleteBlob(response, repository, parseDigest(route.reference));
      throw notAllowed('GET, HEAD, DELETE');
    case 'manifest':
      if (reads) return getManifest(request, response, repository, route.reference);
      if (method === 'PUT') return putManifest(request, response, store, repository, route.reference);
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
      if (reads) return listReferrers(response, repository, parseDigest(route.reference), query.get('artifactType'));
      throw notAllowed('GET, HEAD');
  }
}

function notAllowed(allow: string): Refusal {
  return new Refusal(405, 'UNSUPPORTED', `only ${allow} here`, { allow });
}
