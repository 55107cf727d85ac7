import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readServiceAccount } from './in-cluster.ts';

it('reads the service account as the kubelet mounts it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-account-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'ca.crt'), 'CA');
  await writeFile(join(folder, 'token'), 'first\n');
  await writeFile(join(folder, 'namespace'), 'banksman\n');
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
  const { server, namespace, options } = await readServiceAccount(folder, environment);
  expect([server.href, namespace]).toEqual(['https://[fd00::1]:6443/', 'banksman']);
  expect(await options()).toEqual({ ca: 'CA', headers: { authorization: 'Bearer first' } });
});

it('says what is missing where this is no pod', async () => {
  await expect(readServiceAccount('/nowhere', {})).rejects.toMatchObject({ code: 'kube/no-kubeconfig' });
  const host = { KUBERNETES_SERVICE_HOST: '10.96.0.1' };
  await expect(readServiceAccount('/nowhere', host)).rejects.toThrow(/ca\.crt can't be read/);
});
