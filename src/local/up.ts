import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder, withLock } from '../disk/index.ts';
import { run } from '../process/index.ts';
import type { Task } from '../progress/index.ts';
import { cgroupMembers, makeCgroups } from './cgroup.ts';
import { askSupervisor } from './control.ts';
import { stopCluster } from './down.ts';
import { ensureEngine } from './engine.ts';
import { LocalFault } from './fault.ts';
import { guardCommand } from './guard.ts';
import { isAlive } from './identity.ts';
import { ensureSystemImages } from './images.ts';
import { ensureKeys } from './keys.ts';
import { writeAdminKubeconfig, writeComponentKubeconfig } from './kubeconfig.ts';
import { type Layout, layoutOf } from './layout.ts';
import { isPortFree } from './load-balancer.ts';
import { lastLines } from './logs.ts';
import { examineMachine, portHolder, requireLinuxRoot } from './machine.ts';
import { isStopping, openRunFolder, readIdentity, writeIdentity } from './records.ts';
import { readSettings, type Settings, writeSettings } from './settings.ts';
import { statusOf } from './status.ts';
import type { SupervisorReport } from './supervisor.ts';
import type { Engine, UpRequest, UpResult } from './types.ts';

/** Port that kubeconfigs usually name. */
const usualApiPort = 6443;
/** Milliseconds until a cluster that isn't whole counts as failed. */
const deadline = 180_000;
/** Milliseconds without an answer of the supervisor after which it counts as failed. */
const longestSilence = 15_000;
/** Starts of one process after which `up` no longer waits for it. */
const hopeless = 4;

/**
 * Brings a cluster up and waits until its node is Ready and its DNS answers. What is up already stays as it is; what an earlier
 * run left half done is completed.
 *
 * @throws LocalFault for what the machine lacks, a port that is taken, or a component that doesn't become ready
 */
export async function up(request: UpRequest): Promise<UpResult> {
  requireLinuxRoot();
  const layout = layoutOf(request.name);
  const { progress } = request;
  if (request.apiPort !== undefined && !isPort(request.apiPort)) {
    throw new LocalFault('local/bad-port', `${request.apiPort} is not a port`, {
      next: 'use a number from 1 to 65535',
    });
  }
  const engine = await ensureEngine(request);
  return withLock(layout.lock, () => bringUp(layout, engine, request), {
    onWait: (holder) => progress.say(`process ${holder} is at work on the cluster ${layout.name}; waiting for it`),
  });
}

async function bringUp(layout: Layout, engine: Engine, request: UpRequest): Promise<UpResult> {
  const started = performance.now();
  const before = await readSettings(layout);
  if (before && before.engine.fingerprint === engine.fingerprint && isWanted(before, request)) {
    const now = await statusOf(layout, before);
    if (now.state === 'running') return { already: true, took: performance.now() - started, status: now };
  }
  const task = request.progress.begin(`cluster ${layout.name}`);
  try {
    const settings = await prepare(layout, engine, before, request, task);
    await startSupervision(layout, settings, before);
    await waitUntilWhole(layout, task, request.signal);
    task.done();
    return { already: false, took: performance.now() - started, status: await statusOf(layout, settings) };
  } catch (error) {
    task.fail();
    throw error;
  }
}

function isWanted(settings: Settings, request: UpRequest): boolean {
  return request.apiPort === undefined || request.apiPort === settings.apiPort;
}

/** Everything that must stand in files before the first process is started. */
async function prepare(
  layout: Layout,
  engine: Engine,
  before: Settings | undefined,
  request: UpRequest,
  task: Task,
): Promise<Settings> {
  task.update('looking at the machine');
  const machine = await examineMachine(layout);
  // What `down`, or a start that failed, left half done.
  const alive = (await cgroupMembers(layout.cgroup)).size > 0;
  if (isStopping(layout) || (alive && !before)) await stopCluster(layout, (text) => task.update(text));
  await openRunFolder(layout);
  for (const folder of [layout.root, layout.config, layout.logs, layout.etcd, layout.containerd, layout.kubelet]) {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o700);
  }
  for (const folder of [layout.nodeLog, layout.volumes, layout.registry]) await mkdir(folder, { recursive: true });
  task.update('keys and images');
  const [apiPort, images, versions] = await Promise.all([
    chooseApiPort(layout, before, request.apiPort),
    ensureSystemImages(engine),
    engineVersions(engine),
    ensureKeys(layout),
  ]);
  const settings: Settings = {
    format: 1,
    name: layout.name,
    apiPort,
    engine: { folder: engine.folder, fingerprint: engine.fingerprint },
    cni: machine.cni,
    proxyMode: machine.proxyMode,
    snapshotter: before?.snapshotter ?? machine.snapshotter,
    blobs: cacheFolder('blobs'),
    images,
    versions: { ...versions, containerd: machine.containerd },
  };
  for (const leaf of ['controller-manager', 'scheduler', 'kubelet', 'proxy'] as const) {
    await writeComponentKubeconfig(layout, leaf);
  }
  await writeAdminKubeconfig(layout, apiPort);
  await writeSettings(layout, settings);
  await makeCgroups(layout.cgroup);
  return settings;
}

async function chooseApiPort(layout: Layout, before: Settings | undefined, asked: number | undefined): Promise<number> {
  // While the cluster runs, its own portal holds the port.
  const held = readIdentity(layout, 'supervisor') !== undefined ? before?.apiPort : undefined;
  const usable = async (port: number) => port === held || (await isPortFree(port));
  const wanted = asked ?? before?.apiPort;
  if (wanted !== undefined) {
    if (await usable(wanted)) return wanted;
    const holder = await portHolder(wanted);
    throw new LocalFault('local/port-taken', `port ${wanted} of 127.0.0.1 is taken by ${holder ?? 'another process'}`, {
      next: 'stop that process, or give another port with --api-port',
    });
  }
  for (let port = usualApiPort; port < usualApiPort + 200; port++) if (await isPortFree(port)) return port;
  throw new LocalFault(
    'local/port-taken',
    `no port from ${usualApiPort} to ${usualApiPort + 199} is free on 127.0.0.1`,
    {
      next: 'give another port with --api-port',
    },
  );
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

async function engineVersions(engine: Engine): Promise<{ kubernetes: string; etcd: string }> {
  const { stdout } = await run(engine.engine, ['version', '--json'], { timeout: 30_000 });
  const { kubernetes, etcd } = JSON.parse(stdout.toString('utf8')) as { kubernetes?: unknown; etcd?: unknown };
  if (typeof kubernetes !== 'string' || typeof etcd !== 'string') {
    throw new LocalFault('local/engine-build-failed', `${engine.engine} doesn't say its versions`, {
      next: `remove ${engine.folder} and try again`,
    });
  }
  return { kubernetes, etcd };
}

/** Starts the guard, and it the supervisor. One that runs with other settings is started anew; the processes stay. */
async function startSupervision(layout: Layout, settings: Settings, before: Settings | undefined): Promise<void> {
  const supervisor = readIdentity(layout, 'supervisor');
  if (supervisor && JSON.stringify(settings) !== JSON.stringify(before)) {
    process.kill(supervisor.pid, 'SIGTERM');
    while (isAlive(supervisor)) await sleep(10);
  }
  if (readIdentity(layout, 'guard')) return;
  const { program, args, env } = guardCommand(layout);
  const output = openSync(join(layout.logs, 'supervisor.log'), 'a', 0o600);
  try {
    const child = spawn(program, args, {
      cwd: '/',
      env: env as NodeJS.ProcessEnv,
      stdio: ['ignore', output, output],
      detached: true,
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    await writeIdentity(layout, 'guard', child.pid!);
  } finally {
    closeSync(output);
  }
}

async function waitUntilWhole(layout: Layout, task: Task, signal: AbortSignal | undefined): Promise<void> {
  const end = Date.now() + deadline;
  let heard = Date.now();
  let last: SupervisorReport | undefined;
  for (;;) {
    signal?.throwIfAborted();
    const report = await askSupervisor(layout, 2_000);
    if (report) heard = Date.now();
    last = report ?? last;
    if (report?.state === 'running') return;
    task.update(last ? awaited(last) : 'starting its supervisor');
    const failing = last?.processes.find(({ restarts, state }) => restarts >= hopeless && state !== 'ready');
    const silent = Date.now() - heard > longestSilence;
    if (failing || silent || Date.now() > end) throw await notReady(layout, silent ? undefined : last, failing?.name);
    await sleep(50);
  }
}

/** What is being waited for, as one line. */
function awaited({ processes, node, dns }: SupervisorReport): string {
  const waiting = processes.filter(({ state }) => state === 'starting' || state === 'exited').map(({ name }) => name);
  if (waiting.length > 0) return `starting ${waiting.join(', ')}`;
  if (!node.ready) return 'waiting for the node';
  return dns.ready ? 'waiting for the API port' : 'waiting for DNS';
}

async function notReady(
  layout: Layout,
  report: SupervisorReport | undefined,
  failing: string | undefined,
): Promise<LocalFault> {
  const name = failing ?? report?.processes.find(({ state }) => state !== 'ready')?.name ?? 'supervisor';
  const reason =
    report?.processes.find((one) => one.name === name)?.reason ??
    (report?.node.ready === false ? report.node.reason : report?.dns.reason);
  const log = await lastLines(layout, name);
  return new LocalFault(
    'local/not-ready',
    `the cluster ${layout.name} does not become ready: ${name}: ${reason ?? 'no answer'}`,
    {
      notes: log.length > 0 ? [`the last lines of ${join(layout.logs, `${name}.log`)}:\n${log.join('\n')}`] : [],
      next: `look into ${layout.logs}; banksman up tries on, banksman down stops it`,
    },
  );
}
