import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiServer, findEngine, startApiServer } from '../../test/support/api-server.ts';
import { type Cluster, connect, getObject, listObjects } from '../kube/index.ts';
import type { ServerAccess } from '../local/index.ts';
import { grantServer } from './server-grants.ts';
import { makeServerSecrets, missingSecrets } from './server-secrets.ts';

const engine = findEngine();

describe.skipIf(engine === undefined)('what a server in the cluster is given (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'banksman-secrets-'));
    api = await startApiServer(engine as string);
    cluster = await connect({ kubeconfig: api.kubeconfig });
  }, 120_000);
  afterAll(async () => {
    cluster?.close();
    await api?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function access(generation: string): Promise<ServerAccess> {
    const files = async (name: string) => {
      const paths = {
        caPath: join(folder, `${name}-ca`),
        certPath: join(folder, name),
        keyPath: join(folder, `${name}-key`),
      };
      for (const [key, path] of Object.entries(paths)) await writeFile(path, `${generation} ${name} ${key}`);
      return paths;
    };
    return { tls: await files('tls'), registry: await files('registry'), signInPath: join(folder, 'sign-in') };
  }

  const data = async (name: string) => {
    const found = await getObject(cluster, { apiVersion: 'v1', kind: 'Secret', name, namespace: 'default' });
    const entries = Object.entries((found?.data ?? {}) as Record<string, string>);
    return Object.fromEntries(entries.map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]));
  };

  it('on a cluster with certificates of its own: what is generated is made, and what is missing is told', async () => {
    const space = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } };
    await cluster.request({ method: 'POST', path: '/api/v1/namespaces', body: space });
    const written = await makeServerSecrets(cluster, 'other', {});
    expect(written.sort()).toEqual(['banksman-secret-keys', 'database-password']);
    expect(await missingSecrets(cluster, 'other')).toEqual(['banksman-tls', 'banksman-registry']);
    const { tls } = await access('own');
    expect(await makeServerSecrets(cluster, 'other', { tls })).toEqual(['banksman-tls']);
    expect(await missingSecrets(cluster, 'other')).toEqual(['banksman-registry']);
  });

  it('Secrets: made once each by several at a time; a password stays, certificates follow', async () => {
    const first = await access('one');
    const written = await Promise.all([1, 2, 3].map(() => makeServerSecrets(cluster, 'default', first)));
    expect(written.flat().sort()).toEqual([
      'banksman-registry',
      'banksman-secret-keys',
      'banksman-tls',
      'database-password',
    ]);
    const { password = '' } = await data('database-password');
    expect(password).toMatch(/^[\w-]{43}$/);
    expect(await data('banksman-tls')).toEqual({
      'ca.crt': 'one tls caPath',
      'tls.crt': 'one tls certPath',
      'tls.key': 'one tls keyPath',
    });

    expect(await makeServerSecrets(cluster, 'default', first)).toEqual([]);
    expect((await makeServerSecrets(cluster, 'default', await access('two'))).sort()).toEqual([
      'banksman-registry',
      'banksman-tls',
    ]);
    expect(await data('database-password')).toEqual({ password });
    expect(await data('banksman-registry')).toEqual({
      'ca.crt': 'two registry caPath',
      'client.cert': 'two registry certPath',
      'client.key': 'two registry keyPath',
    });
  }, 120_000);

  it('rights: in the namespaces of its environments, and taken back where one has gone', async () => {
    const bound = async () => {
      const kind = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding' };
      const { items } = await listObjects(cluster, kind, { labelSelector: 'banksman/grants=platform-test' });
      return items.map(({ metadata, roleRef, subjects }) => ({ namespace: metadata.namespace, roleRef, subjects }));
    };
    const binding = (namespace: string) => ({
      namespace,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'banksman:environment' },
      subjects: [{ kind: 'ServiceAccount', name: 'banksman', namespace: 'platform-test' }],
    });
    const two = ['grants-a', 'grants-b'];
    expect((await grantServer(cluster, 'platform-test', two)).sort()).toEqual(two);
    expect(await bound()).toEqual(two.map(binding));
    expect(await grantServer(cluster, 'platform-test', two)).toEqual([]);
    expect(await grantServer(cluster, 'platform-test', ['grants-b'])).toEqual(['grants-a']);
    expect(await bound()).toEqual([binding('grants-b')]);
  }, 120_000);
});
