import { readFileSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { TLSSocket } from 'node:tls';
import {
  createRegistryHandler,
  createRegistryServer,
  openBlobStore,
  pushImage,
  type RegistryTransport,
} from '../image/index.ts';
import { authorityPath, certificatePath, keyPath } from './keys.ts';
import type { Layout } from './layout.ts';
import type { Settings } from './settings.ts';

/** Serves `registry.local` on a Unix socket. The node, the user and pods show a certificate of the registry's authority. */
export async function serveRegistry(layout: Layout, settings: Settings): Promise<Server> {
  const store = await openBlobStore(settings.blobs);
  const server = createRegistryServer(
    createRegistryHandler(store, {
      root: layout.registry,
      discover: true,
      // The node and pods only fetch: what it is told to run must not change what others will.
      authorize: (request, action) => {
        const { subject } = (request.socket as TLSSocket).getPeerCertificate();
        return subject?.CN === 'user' || ((subject?.CN === 'node' || subject?.CN === 'reader') && action === 'pull');
      },
    }),
    {
      cert: readFileSync(certificatePath(layout, 'registry-server'), 'utf8'),
      key: readFileSync(keyPath(layout, 'registry-server'), 'utf8'),
      clientAuthorities: readFileSync(authorityPath(layout, 'registry'), 'utf8'),
    },
  );
  await rm(layout.registrySocket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(layout.registrySocket, resolve);
  });
  await chmod(layout.registrySocket, 0o600);
  return server;
}

/** Puts the cluster's own images into its registry; what is there already isn't sent. */
export async function pushSystemImages(layout: Layout, settings: Settings): Promise<void> {
  const transport = userTransport(layout);
  for (const { reference, layout: folder } of Object.values(settings.images)) {
    await pushImage({ layout: folder, reference, transport });
  }
}

export function userTransport(layout: Layout): RegistryTransport {
  return {
    socketPath: layout.registrySocket,
    ca: readFileSync(authorityPath(layout, 'registry'), 'utf8'),
    cert: readFileSync(certificatePath(layout, 'registry-user'), 'utf8'),
    key: readFileSync(keyPath(layout, 'registry-user'), 'utf8'),
    credentials: 'anonymous',
  };
}
