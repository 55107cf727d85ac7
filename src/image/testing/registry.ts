import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { pushImage } from '../client/push.ts';
import { readImageLayout } from '../layout.ts';
import { makeImage } from '../make.ts';
import type { Descriptor } from '../manifest.ts';
import { mediaTypes } from '../manifest.ts';
import { createRegistryHandler } from '../registry/handler.ts';
import { openBlobStore } from '../store.ts';
import { testFolder } from './folder.ts';

export interface TestRegistry {
  /** `127.0.0.1:PORT`, without TLS. */
  readonly host: string;
  /** Pushes an image with one file. @returns what refers to it */
  push(repository: string, text: string): Promise<{ readonly subject: Descriptor; readonly reference: string }>;
}

/** The embedded registry on a port of the loopback, for the length of a test. */
export async function startRegistry(wrap: (handler: Handler) => Handler = (handler) => handler): Promise<TestRegistry> {
  const folder = await testFolder();
  const store = await openBlobStore(join(folder, 'blobs'));
  const server: Server = createServer(wrap(createRegistryHandler(store, { root: join(folder, 'registry') })));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    async push(repository, text) {
      const output = join(folder, `${repository.replaceAll('/', '-')}.oci`);
      const files = [{ destination: '/text', content: text }];
      const { layout, digest, tag } = await makeImage({ store, output, packages: [], files, config: {} });
      await pushImage({ layout, reference: `${host}/${repository}:${tag}`, transport: { plainHttp: true } });
      const { manifestBytes } = await readImageLayout(layout);
      const subject = { mediaType: mediaTypes.manifest, digest, size: manifestBytes.length };
      return { subject, reference: `${host}/${repository}@${digest}` };
    },
  };
}

type Handler = ReturnType<typeof createRegistryHandler>;
