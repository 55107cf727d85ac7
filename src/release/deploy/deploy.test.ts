import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiServer, findEngine, startApiServer } from '../../../test/support/api-server.ts';
import { playKubelet } from '../../../test/support/kubelet.ts';
import { type Label, openWorkspace } from '../../graph/index.ts';
import { createRegistryHandler, headImage, openBlobStore } from '../../image/index.ts';
import { type Cluster, connect, listObjects } from '../../kube/index.ts';
import { silent } from '../../progress/index.ts';
import {
  type ClusterAccess,
  createWorkspaceBuilder,
  deploy,
  environmentOf,
  findService,
  renderService,
  rollback,
  serviceStatus,
} from '../index.ts';

const engine = findEngine();

let folder: string;
let root: string;
const write = async (path: string, text: string) => {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
};
const git = (...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...args], {
    cwd: root,
    stdio: 'pipe',
  });

const manifest = (name: string) => `# The ${name} service.
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      containers:
        - name: ${name}
          image: :image # by label
`;

async function addService(name: string): Promise<void> {
  await write(`${name}/text.txt`, `${name}\n`);
  await write(`${name}/deployment.yaml`, manifest(name));
  await write(
    `${name}/BUILD`,
    `docker_image(name = "image", files = {"/text.txt": "text.txt"}, entrypoint = ["/none"])
k8s_config(name = "${name}", srcs = ["deployment.yaml"], containers = [":image"], owner = "team-${name}")
`,
  );
}

const builderOf = async () => createWorkspaceBuilder(await openWorkspace(root), { progress: silent });
const one = '//one:one' as Label;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-deploy-'));
  process.env.BANKSMAN_CACHE = join(folder, 'cache');
  root = join(folder, 'workspace');
  await mkdir(root);
  git('init', '--quiet');
  await write('banksman.yaml', 'name: test\nenvironments:\n  dev: {cluster: local, namespace: bank}\n');
  await addService('one');
  await addService('two');
  git('add', '-A');
  git('commit', '--quiet', '-m', 'first');
});
afterAll(async () => {
  delete process.env.BANKSMAN_CACHE;
  await rm(folder, { recursive: true, force: true });
});

describe('rendering a workspace', () => {
  it('puts the content tag of the image where its label was, and keeps the rest', async () => {
    const builder = await builderOf();
    const [image] = await builder.images(['//one:image' as Label]);
    const text = await renderService(builder, one, { environment: environmentOf(builder.workspace) });
    expect(image?.tag).toMatch(/^[0-9a-f]{12}$/);
    expect(text).toBe(manifest('one').replace(':image #', `registry.local/one:${image?.tag} #`));
  });

  it('gives another tag for another content, and the same for the same', async () => {
    const tags = async () => (await (await builderOf()).images()).map(({ label, tag }) => `${label} ${tag}`);
    const before = await tags();
    await write('one/text.txt', 'changed\n');
    const between = await tags();
    expect(between[0]).not.toBe(before[0]);
    expect(between[1]).toBe(before[1]);
    await write('one/text.txt', 'one\n');
    expect(await tags()).toEqual(before);
  });

  it('tells apart what is no service, no image and no environment', async () => {
    const builder = await builderOf();
    const environment = environmentOf(builder.workspace);
    await expect(renderService(builder, '//one:image' as Label, { environment })).rejects.toMatchObject({
      code: 'release/not-a-service',
      place: { file: 'one/BUILD', line: 1 },
    });
    await expect(builder.images([one])).rejects.toMatchObject({ code: 'release/not-an-image' });
    expect(() => environmentOf(builder.workspace, 'dve')).toThrow(
      expect.objectContaining({ code: 'release/unknown-environment', next: 'did you mean dev?' }),
    );
    expect(findService(builder.services(), '//one').label).toBe(one);
    expect(findService(builder.services(), 'two')).toMatchObject({ label: '//two:two', owner: 'team-two' });
    expect(() => findService(builder.services(), '//oen')).toThrow(
      expect.objectContaining({ code: 'release/unknown-service', next: 'did you mean //one:one?' }),
    );
  });

  it('shows a mistake in a manifest at its line when the service is built', async () => {
    await write('one/deployment.yaml', manifest('one').replace(':image', ':imgae'));
    try {
      const builder = await builderOf();
      await expect(builder.build([one])).rejects.toMatchObject({
        code: 'manifest/unlisted-image',
        place: { file: 'one/deployment.yaml', line: 12 },
      });
    } finally {
      await write('one/deployment.yaml', manifest('one'));
    }
  });
});

describe.skipIf(engine === undefined)('deploying to a real API server (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let registry: Server;
  let access: ClusterAccess;
  let kubelet: { stop(): void };

  beforeAll(async () => {
    api = await startApiServer(engine as string);
    cluster = await connect({ kubeconfig: api.kubeconfig });
    kubelet = playKubelet(cluster, 'bank', () => 'ready');
    const key = join(folder, 'key.pem');
    const cert = join(folder, 'cert.pem');
    const openssl = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const subject = ['-subj', '/CN=registry.local', '-addext', 'subjectAltName=DNS:registry.local'];
    execFileSync('openssl', [...openssl, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const store = await openBlobStore(join(folder, 'registry-blobs'));
    registry = createServer(
      { key: await readFile(key), cert: await readFile(cert), ca: await readFile(cert), requestCert: true },
      createRegistryHandler(store, { root: join(folder, 'registry') }),
    );
    const socketPath = join(folder, 'registry.sock');
    await new Promise<void>((resolve) => registry.listen(socketPath, resolve));
    access = {
      kubeconfigPath: api.kubeconfig,
      registry: { name: 'registry.local', socketPath, caPath: cert, certPath: cert, keyPath: key },
    };
  }, 90_000);

  afterAll(async () => {
    kubelet?.stop();
    cluster?.close();
    registry?.closeAllConnections();
    registry?.close();
    await api?.stop();
  });

  const deployAll = async (labels?: readonly Label[]) => {
    const builder = await builderOf();
    const environment = environmentOf(builder.workspace);
    const options = { builder, environment, cluster: access, progress: silent, deadline: 30 };
    return await deploy({ ...options, ...(labels && { labels }) });
  };
  const podsBy = async () => {
    const { items } = await listObjects(cluster, { apiVersion: 'v1', kind: 'Pod' }, { namespace: 'bank' });
    return new Map(items.map(({ metadata }) => [metadata.labels?.app, metadata.uid]));
  };

  it('brings all services from the workspace into a new namespace, images pushed', async () => {
    const results = await deployAll();
    expect(results.map(({ service, result }) => [service.name, result])).toEqual([
      ['one', 'healthy'],
      ['two', 'healthy'],
    ]);
    const [image] = await (await builderOf()).images(['//one:image' as Label]);
    const { registry: how } = access;
    const pushed = await headImage({
      reference: `registry.local/one:${image?.tag}`,
      transport: {
        socketPath: how?.socketPath ?? '',
        ca: await readFile(how?.caPath ?? '', 'utf8'),
        cert: await readFile(how?.certPath ?? '', 'utf8'),
        key: await readFile(how?.keyPath ?? '', 'utf8'),
      },
    });
    expect(pushed?.digest).toBe(image?.digest);
  });

  it('touches nothing where nothing changed', async () => {
    const before = await podsBy();
    const results = await deployAll();
    expect(results.map(({ result }) => result)).toEqual(['unchanged', 'unchanged']);
    expect(await podsBy()).toEqual(before);
  });

  it('replaces the pods of the service that changed, leaves the others, and goes back', async () => {
    const before = await podsBy();
    await write('one/text.txt', 'changed\n');
    const results = await deployAll();
    expect(results.map(({ result }) => result)).toEqual(['healthy', 'unchanged']);
    const after = await podsBy();
    expect(after.get('one')).not.toBe(before.get('one'));
    expect(after.get('two')).toBe(before.get('two'));

    const builder = await builderOf();
    const environment = environmentOf(builder.workspace);
    const view = { environment, cluster: access };
    const [changed] = await serviceStatus({ ...view, services: builder.services() });
    expect(changed).toMatchObject({
      health: 'healthy',
      owner: 'team-one',
      origin: { author: 'Ada <ada@example.com>', dirty: true, commit: git('rev-parse', 'HEAD').toString().trim() },
    });
    const back = await rollback({
      ...view,
      workspaceRoot: root,
      progress: silent,
      service: findService(builder.services(), 'one'),
    });
    expect(back).toMatchObject({ result: 'healthy', to: { origin: { dirty: false } } });
    const [first] = await serviceStatus({ ...view, services: builder.services() });
    expect(first?.release).toBe(back.to.id);
    expect(first?.pods[0]?.images[0]).toBe(back.to.images[0]?.reference);
  });
});
