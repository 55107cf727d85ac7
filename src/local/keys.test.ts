import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { issue, makeAuthority } from './certificate.ts';
import { authorityPath, certificatePath, encryptionKeyPath, ensureKeys, keyPath, leaves } from './keys.ts';
import { type Layout, layoutOf } from './layout.ts';

let folder: string;
let layout: Layout;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-keys-'));
  layout = { ...layoutOf('test'), pki: join(folder, 'pki') };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const certificateOf = async (path: string) => new X509Certificate(await readFile(path, 'utf8'));

test('every certificate verifies against its authority and no other, and only its owner reads the files', async () => {
  await ensureKeys(layout);
  const own = {} as Record<string, X509Certificate>;
  for (const name of ['cluster', 'front-proxy', 'etcd', 'registry'] as const) {
    own[name] = await certificateOf(authorityPath(layout, name));
    expect(own[name].ca).toBe(true);
  }
  for (const [name, { authority }] of Object.entries(leaves(layout))) {
    const leaf = await certificateOf(certificatePath(layout, name as 'etcd'));
    expect(leaf.ca).toBe(false);
    for (const [other, certificate] of Object.entries(own)) {
      expect(leaf.verify(certificate.publicKey), `${name} by ${other}`).toBe(other === authority);
    }
  }
  for (const file of await readdir(layout.pki)) {
    expect((await stat(join(layout.pki, file))).mode & 0o777, file).toBe(0o600);
  }
});

test('the node is who the node authorizer knows, and the administrator is not of the built-in masters', async () => {
  await ensureKeys(layout);
  expect((await certificateOf(certificatePath(layout, 'kubelet'))).subject).toBe(
    'O=system:nodes\nCN=system:node:banksman-test',
  );
  expect((await certificateOf(certificatePath(layout, 'admin'))).subject).toBe('O=banksman:admins\nCN=banksman:admin');
});

test('a second run changes nothing', async () => {
  expect(await ensureKeys(layout)).toContain('apiserver');
  expect(await ensureKeys(layout)).toEqual([]);
});

test('a certificate that ends soon is renewed, and the key that Secrets are encrypted with stays', async () => {
  await ensureKeys(layout);
  const secret = await readFile(encryptionKeyPath(layout), 'utf8');
  const authority = {
    name: 'cluster',
    certificate: await readFile(authorityPath(layout, 'cluster'), 'utf8'),
    key: await readFile(join(layout.pki, 'cluster-ca.key'), 'utf8'),
  };
  const old = await issue(authority, { ...leaves(layout).apiserver.request, lifetime: 30 });
  await writeFile(certificatePath(layout, 'apiserver'), old.certificate);
  await writeFile(keyPath(layout, 'apiserver'), old.key);
  expect(await ensureKeys(layout)).toEqual(['apiserver']);
  expect(await readFile(encryptionKeyPath(layout), 'utf8')).toBe(secret);
});

test('a damaged key, and another name than asked for, are replaced', async () => {
  await ensureKeys(layout);
  await writeFile(keyPath(layout, 'proxy'), 'not a key');
  expect(await ensureKeys(layout)).toEqual(['proxy']);
  expect(await ensureKeys({ ...layout, nodeName: 'elsewhere' })).toEqual(['kubelet', 'kubelet-server']);
});

test('a lost authority takes all that it signed with it', async () => {
  await ensureKeys(layout);
  await rm(authorityPath(layout, 'registry'));
  expect(await ensureKeys(layout)).toEqual([
    'registry-ca',
    'registry-server',
    'registry-node',
    'registry-user',
    'registry-reader',
  ]);
});

test('TLS with both sides checked accepts its own client and refuses one of another authority', async () => {
  const authority = await makeAuthority('one', 10);
  const stranger = await makeAuthority('two', 10);
  const server = await issue(authority, {
    commonName: 'server',
    use: ['server'],
    dnsNames: ['registry.local'],
    addresses: ['127.0.0.1'],
    lifetime: 5,
  });
  const listening = createServer(
    {
      cert: server.certificate,
      key: server.key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (_, response) => response.end('hello'),
  );
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as AddressInfo;
  const get = async (signer: typeof authority) => {
    const client = await issue(signer, { commonName: 'client', use: ['client'], lifetime: 5 });
    return new Promise<number | string | undefined>((resolve) => {
      const call = request(
        { host: '127.0.0.1', port, ca: authority.certificate, cert: client.certificate, key: client.key, agent: false },
        (response) => resolve(response.resume().statusCode),
      );
      call.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      call.end();
    });
  };
  try {
    expect(await get(authority)).toBe(200);
    expect(await get(stranger)).not.toBe(200);
  } finally {
    listening.close();
  }
});
