import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ClusterStatus, down, kubectl, list, status, up } from '../../src/local/index.ts';
import { run } from '../../src/process/index.ts';
import { silent } from '../../src/progress/index.ts';

/** Clusters of this file: their own state, so that a user's is not touched; the engine's cache is shared. */
const name = 'e2e-a';
const second = 'e2e-b';
const engineSource = join(import.meta.dirname, '../../engine');
const request = { progress: silent, engineSource };

let folder: string;
let before: string[];
const stateBefore = process.env.BANKSMAN_STATE;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-e2e-local-'));
  process.env.BANKSMAN_STATE = folder;
  before = traces();
  await up({ ...request, name });
});

afterAll(async () => {
  for (const one of [name, second]) await down({ progress: silent, name: one, purge: true });
  if (stateBefore === undefined) delete process.env.BANKSMAN_STATE;
  else process.env.BANKSMAN_STATE = stateBefore;
  await rm(folder, { recursive: true, force: true });
});

/** Everything on the host that a cluster of this file could leave behind: one line each. */
function traces(): string[] {
  const mine = (text: string) =>
    text.includes(`banksman-${name}`) || text.includes(`banksman-${second}`) || text.includes(folder);
  const found: string[] = [];
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) if (mine(line)) found.push(`mount ${line}`);
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const group = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      if (Number(pid) !== process.pid && (mine(command) || mine(group))) found.push(`process ${pid} ${command}`);
    } catch {
      // It has just ended.
    }
  }
  const groups = execFileSync('find', ['/sys/fs/cgroup', '-type', 'd', '-name', 'banksman-e2e-*'], {
    encoding: 'utf8',
  });
  for (const path of groups.split('\n')) if (path !== '' && mine(path)) found.push(`cgroup ${path}`);
  try {
    for (const file of readdirSync('/run/netns')) if (mine(file)) found.push(`netns ${file}`);
  } catch {
    // No namespace of anybody's.
  }
  return found;
}

/** Firewall rules and network cards of the host itself. */
function hostNetwork(): string {
  return [
    execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }),
    execFileSync('ip', ['-brief', 'address'], { encoding: 'utf8' }),
    execFileSync('ip', ['route'], { encoding: 'utf8' }),
  ].join('\n');
}

async function kube(cluster: string, ...args: string[]): Promise<string> {
  const { program, args: all, env } = await kubectl({ ...request, name: cluster, args });
  return (await run(program, all, { env, timeout: 60_000 })).stdout.toString('utf8');
}

async function until<T>(what: string, look: () => Promise<T | undefined>, seconds = 60): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(200);
  }
}

const running = (cluster: string) =>
  until('running', async () => {
    const now = await status({ name: cluster });
    return now.state === 'running' ? now : undefined;
  });

const fetchText = (url: string) =>
  new Promise<string>((resolve, reject) => {
    get(url, (response) => {
      let text = '';
      response.on('data', (piece) => (text += piece));
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });

/** A pod with a volume, and a Service that leads to the cluster's DNS server's metrics. */
async function applyExample(cluster: string): Promise<void> {
  const settings = JSON.parse(await readFile(join(folder, 'clusters', cluster, 'cluster.json'), 'utf8'));
  const file = join(folder, 'example.json');
  const items = [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'public', namespace: 'kube-system' },
      spec: { type: 'LoadBalancer', selector: { 'k8s-app': 'kube-dns' }, ports: [{ port: 19153, targetPort: 9153 }] },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data', namespace: 'default' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'example', namespace: 'default' },
      spec: {
        securityContext: { runAsUser: 999, fsGroup: 999 },
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'main',
            image: settings.images.pause.reference,
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          },
        ],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
      },
    },
  ];
  await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  await kube(cluster, 'apply', '-f', file);
  await kube(cluster, 'wait', '--for=condition=Ready', 'pod/example', '--timeout=60s');
}

const podsOf = async (cluster: string) =>
  (
    await kube(
      cluster,
      'get',
      'pods',
      '-A',
      '-o',
      'jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[*].restartCount}{"\\n"}{end}',
    )
  ).trim();

test('the node is Ready, DNS answers, a pod runs with a volume, and a Service is reached from the host', async () => {
  const now = await running(name);
  expect(now.node.ready).toBe(true);
  expect(now.dns.ready).toBe(true);
  expect(await list()).toEqual([name]);
  await applyExample(name);
  const port = await until('the port', async () =>
    (await status({ name })).ports.find(({ service, listening }) => service === 'kube-system/public' && listening),
  );
  expect(await fetchText(`http://${port.address}/metrics`)).toContain('coredns_build_info');
  const ingress = await kube(
    name,
    '-n',
    'kube-system',
    'get',
    'service',
    'public',
    '-o',
    'jsonpath={.status.loadBalancer.ingress[0].ip}',
  );
  expect(ingress).toBe('127.0.0.1');
});

test('the host has no rule, address or route of it', () => {
  expect(hostNetwork()).not.toMatch(/10\.96\.|10\.244\.|10\.200\.|node0|KUBE|kube-proxy/);
});

test('up again changes nothing and is quick', async () => {
  const processes = (all: ClusterStatus) => all.processes.map(({ name: one, pid }) => `${one} ${pid}`).join();
  const was = processes(await running(name));
  const result = await up({ ...request, name });
  expect(result.already).toBe(true);
  expect(result.took).toBeLessThan(1_000);
  expect(processes(result.status)).toBe(was);
});

test('without a certificate nobody is let in', async () => {
  const { api } = await status({ name });
  const code = execFileSync('curl', ['-sk', '-o', '/dev/null', '-w', '%{http_code}', `${api}/api`], {
    encoding: 'utf8',
  });
  expect(code).toBe('401');
});

test.each([
  'anchor',
  'portal',
  'etcd',
  'apiserver',
  'controller-manager',
  'scheduler',
  'containerd',
  'kubelet',
  'proxy',
  'supervisor',
  'guard',
])('kill -9 of %s heals, and no pod is touched', async (which) => {
  const pidOf = (all: ClusterStatus) => all.processes.find((one) => one.name === which)?.pid;
  const pods = await podsOf(name);
  const was = pidOf(await running(name));
  expect(was).toBeGreaterThan(0);
  process.kill(was!, 'SIGKILL');
  await until(`${which} again`, async () => {
    const now = await status({ name });
    const pid = pidOf(now);
    return now.state === 'running' && pid !== undefined && pid !== was ? true : undefined;
  });
  expect(await podsOf(name)).toBe(pods);
});

test('a taken API port is a fault that names who has it', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as { port: number };
  try {
    await expect(up({ ...request, name: second, apiPort: port })).rejects.toMatchObject({
      code: 'local/port-taken',
      message: expect.stringContaining(`process ${process.pid}`),
    });
  } finally {
    holder.close();
    await down({ progress: silent, name: second, purge: true });
  }
});

test('two clusters stand side by side, and the end of one is not felt by the other', async () => {
  await up({ ...request, name: second });
  await applyExample(second);
  const [one, two] = [await running(name), await running(second)];
  expect(one.api).not.toBe(two.api);
  const pods = await podsOf(name);
  expect(await podsOf(second)).not.toBe(pods);
  await down({ progress: silent, name: second, purge: true });
  expect(traces().filter((line) => line.includes(second))).toEqual([]);
  expect((await running(name)).state).toBe('running');
  expect(await podsOf(name)).toBe(pods);
  expect(await list()).toEqual([name]);
});

test('down leaves no trace, and up brings back what was there', async () => {
  const uid = await kube(name, 'get', 'pod', 'example', '-o', 'jsonpath={.metadata.uid}');
  const volume = (await kube(name, 'get', 'pvc', 'data', '-o', 'jsonpath={.spec.volumeName}')).trim();
  const file = join(folder, 'clusters', name, 'volumes', volume, 'kept');
  await writeFile(file, 'kept');
  expect(await down({ progress: silent, name })).toEqual({ stopped: true, purged: false });
  expect(traces()).toEqual(before);
  expect((await status({ name })).state).toBe('stopped');
  expect(await down({ progress: silent, name })).toEqual({ stopped: false, purged: false });

  await up({ ...request, name });
  await kube(name, 'wait', '--for=condition=Ready', 'pod/example', '--timeout=60s');
  expect(await kube(name, 'get', 'pod', 'example', '-o', 'jsonpath={.metadata.uid}')).toBe(uid);
  expect(await readFile(file, 'utf8')).toBe('kept');
});

test('when supervisor, guard and others are killed together, up repairs what is left', async () => {
  const all = (await running(name)).processes;
  for (const one of ['guard', 'supervisor', 'anchor', 'etcd', 'portal']) {
    process.kill(all.find((process) => process.name === one)!.pid!, 'SIGKILL');
  }
  await until('broken', async () => ((await status({ name })).state === 'broken' ? true : undefined), 10);
  const pods = await podsOf(name).catch(() => '');
  expect(pods).toBe(''); // nobody publishes the API
  await up({ ...request, name });
  expect((await running(name)).state).toBe('running');
});

test('a claim that is deleted takes its folder with it', async () => {
  const volume = (await kube(name, 'get', 'pvc', 'data', '-o', 'jsonpath={.spec.volumeName}')).trim();
  await kube(name, 'delete', 'pod/example', 'pvc/data', '--wait=true');
  const volumes = join(folder, 'clusters', name, 'volumes');
  await until('the folder gone', async () => (readdirSync(volumes).includes(volume) ? undefined : true), 30);
});

test('purge removes all that is left', async () => {
  expect(await down({ progress: silent, name, purge: true })).toEqual({ stopped: true, purged: true });
  expect(traces()).toEqual(before);
  expect(await list()).toEqual([]);
  expect((await status({ name })).state).toBe('absent');
});
