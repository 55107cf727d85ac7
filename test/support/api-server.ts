import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { createWriteStream, existsSync, readdirSync, statSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder } from '../../src/disk/index.ts';

/**
 * A real etcd, API server and controller manager on 127.0.0.1, without a node: what tests need that are about the API. They
 * play the kubelet themselves by writing the status of pods.
 */
export interface ApiServer {
  readonly kubeconfig: string;
  /** Of a user without any role. */
  readonly strangerKubeconfig: string;
  /** SIGSTOP and SIGCONT for the API server: a server that hangs. */
  hang(): void;
  goOn(): void;
  /** Ends the API server as a crash would, and starts it again on the same port. */
  crash(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * The engine's binary: the newest one that was built. script/test builds it first, and there its absence is an error; a
 * unit test run by hand without it is shown as skipped.
 */
export function findEngine(): string | undefined {
  const folder = cacheFolder('engine');
  const found = (existsSync(folder) ? readdirSync(folder) : [])
    .map((name) => join(folder, name, 'engine'))
    .filter((path) => existsSync(path))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  if (found === undefined && process.env.BANKSMAN_TESTS === 'whole') {
    throw new Error(`there is no engine below ${folder}, and no test may be left out`);
  }
  return found;
}

/** @param controllers further arguments of the controller manager */
export async function startApiServer(engine: string, controllers: readonly string[] = []): Promise<ApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-api-'));
  const [etcdPort, peerPort, apiPort] = await freePorts(3);
  const url = `https://127.0.0.1:${apiPort}`;
  const key = join(folder, 'sa.key');
  const publicKey = join(folder, 'sa.pub');
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(key, pair.privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
  await writeFile(publicKey, pair.publicKey.export({ type: 'spki', format: 'pem' }));
  const tokens = join(folder, 'tokens.csv');
  await writeFile(tokens, 'admin-token,admin,1,system:masters\nstranger-token,stranger,2,nobody\n', { mode: 0o600 });

  const running = new Set<ChildProcess>();
  const start = (name: string, args: readonly string[]) => {
    const child = spawn(engine, [name, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
    child.stdout.pipe(log);
    child.stderr.pipe(log);
    running.add(child);
    child.on('exit', () => running.delete(child));
    return child;
  };
  const stopAll = async () => {
    for (const child of running) child.kill('SIGKILL');
    while (running.size > 0) await sleep(20);
    await rm(folder, { recursive: true, force: true });
  };
  const startServer = () =>
    start('apiserver', [
      `--etcd-servers=http://127.0.0.1:${etcdPort}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${apiPort}`,
      `--cert-dir=${folder}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${publicKey}`,
      `--service-account-signing-key-file=${key}`,
      `--token-auth-file=${tokens}`,
      '--authorization-mode=RBAC',
      '--service-cluster-ip-range=10.96.0.0/16',
      // Pods are admitted although no controller makes the namespace's default service account.
      '--disable-admission-plugins=ServiceAccount',
    ]);
  try {
    start('etcd', [
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=http://127.0.0.1:${etcdPort}`,
      `--advertise-client-urls=http://127.0.0.1:${etcdPort}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
      '--unsafe-no-fsync',
    ]);
    let server = startServer();
    const ca = join(folder, 'apiserver.crt');
    const kubeconfigFor = async (token: string) => {
      const path = join(folder, `${token}.kubeconfig`);
      await writeFile(
        path,
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Config',
          'current-context': 'test',
          clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority': ca } }],
          users: [{ name: 'test', user: { token } }],
          contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
        }),
        { mode: 0o600 },
      );
      return path;
    };
    const kubeconfig = await kubeconfigFor('admin-token');
    const strangerKubeconfig = await kubeconfigFor('stranger-token');
    await untilReady(url, ca, () => server.exitCode, folder);
    start('controller-manager', [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      '--leader-elect=false',
      '--secure-port=0',
      '--bind-address=127.0.0.1',
      ...controllers,
    ]);
    return {
      kubeconfig,
      strangerKubeconfig,
      hang: () => void server.kill('SIGSTOP'),
      goOn: () => void server.kill('SIGCONT'),
      async crash() {
        const ended = new Promise((resolve) => server.once('exit', resolve));
        server.kill('SIGKILL');
        await ended;
      },
      async restart() {
        server = startServer();
        await untilReady(url, ca, () => server.exitCode, folder);
      },
      stop: stopAll,
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function untilReady(url: string, caPath: string, exitCode: () => number | null, folder: string): Promise<void> {
  const { request } = await import('node:https');
  const deadline = Date.now() + 60_000;
  for (;;) {
    const status = await new Promise<number>((resolve) => {
      readFile(caPath).then(
        (ca) => {
          const asking = request(
            `${url}/readyz`,
            { ca, headers: { authorization: 'Bearer admin-token' } },
            (answer) => {
              answer.resume();
              resolve(answer.statusCode ?? 0);
            },
          );
          asking.on('error', () => resolve(0));
          asking.end();
        },
        () => resolve(0),
      );
    });
    if (status === 200) return;
    if (exitCode() !== null || Date.now() > deadline) {
      const log = await readFile(join(folder, 'apiserver.log'), 'utf8').catch(() => '');
      throw new Error(`the API server does not become ready:\n${log.slice(-3000)}`);
    }
    await sleep(100);
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.on('error', reject);
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
