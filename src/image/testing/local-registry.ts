import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import {
  type AssembledImage,
  createRegistryHandler,
  makeImage,
  openBlobStore,
  type RegistryOptions,
} from '../index.ts';
import type { BlobStore } from '../store.ts';
import { testFolder } from './folder.ts';

/** Listens on a free port of 127.0.0.1 until the test ends. @returns `127.0.0.1:<port>` */
export async function listenLocally(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export interface TestRegistry {
  readonly host: string;
  readonly base: string;
  readonly root: string;
  readonly store: BlobStore;
  /** Method and path of each request so far. */
  readonly seen: string[];
}

/**
 * A real registry of its own for one test, with something between it and the client where that is wanted. The test fails
 * where the registry has an error of its own.
 */
export async function startRegistry(
  options: Partial<RegistryOptions> = {},
  between: (inner: RequestListener) => RequestListener = (inner) => inner,
): Promise<TestRegistry> {
  const folder = await testFolder();
  const store = await openBlobStore(join(folder, 'blobs'));
  const root = join(folder, 'registry');
  const errors: unknown[] = [];
  const seen: string[] = [];
  const handler = between(
    createRegistryHandler(store, { root, onError: (error) => errors.push(error), ...options }) as RequestListener,
  );
  const host = await listenLocally(
    createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      handler(request, response);
    }),
  );
  onTestFinished(() => expect(errors).toEqual([]));
  return { host, base: `http://${host}`, root, store, seen };
}

/** A small image with one file of the text. */
export async function testImage(folder: string, text: string, size = 0): Promise<AssembledImage> {
  return makeImage({
    store: await openBlobStore(join(folder, 'source')),
    output: join(folder, `${text.slice(0, 20).replace(/\W/g, '-')}.oci`),
    packages: [],
    files: [{ destination: '/text', content: text.padEnd(size, text) }],
    config: {},
  });
}

/** Quick tries, no TLS, nobody's name. */
export const plain = { plainHttp: true, credentials: 'anonymous', firstPause: 2 } as const;

/** Sets variables of the environment until the test ends. */
export function withEnvironment(values: Record<string, string | undefined>): void {
  const former = Object.fromEntries(Object.keys(values).map((name) => [name, process.env[name]]));
  const set = (all: Record<string, string | undefined>) => {
    for (const [name, value] of Object.entries(all))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  };
  set(values);
  onTestFinished(() => set(former));
}

/** A registry of before the referrers API: it keeps manifests with a subject, and nothing more. */
export const withoutReferrers =
  (inner: RequestListener): RequestListener =>
  (request, response) => {
    if (request.url?.includes('/referrers/')) {
      response.writeHead(404).end();
      return;
    }
    const { writeHead } = response;
    response.writeHead = ((status: number, headers: Record<string, string>) => {
      const { 'oci-subject': _, ...rest } = headers;
      return writeHead.call(response, status, rest);
    }) as typeof writeHead;
    inner(request, response);
  };
