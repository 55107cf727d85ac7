import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { createRegistryHandler, openBlobStore } from '../../image/index.ts';
import type { RegistryAccess } from '../types.ts';

/** The embedded registry on a Unix socket with TLS and a client certificate, as a local cluster has it. */
export async function startTestRegistry(folder: string): Promise<{ readonly access: RegistryAccess; stop(): void }> {
  const key = join(folder, 'key.pem');
  const cert = join(folder, 'cert.pem');
  const openssl = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=registry.local', '-addext', 'subjectAltName=DNS:registry.local'];
  execFileSync('openssl', [...openssl, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const store = await openBlobStore(join(folder, 'registry-blobs'));
  const server = createServer(
    { key: await readFile(key), cert: await readFile(cert), ca: await readFile(cert), requestCert: true },
    createRegistryHandler(store, { root: join(folder, 'registry') }),
  );
  const socketPath = join(folder, 'registry.sock');
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    access: { name: 'registry.local', socketPath, caPath: cert, certPath: cert, keyPath: key },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
