/**
 * The process that keeps one cluster running, from `up` to `down`. It is started by the guard, not by hand:
 *
 *     node supervisor.ts NAME
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLock } from '../disk/index.ts';
import { createHttpServer } from '../process/index.ts';
import { type Api, openApi } from './api.ts';
import { supervisorClient } from './components/apiserver.ts';
import { probeSocket } from './components/component.ts';
import { components } from './components/index.ts';
import { askDns } from './dns.ts';
import { guardCommand } from './guard.ts';
import { identify, residentBytes, signal } from './identity.ts';
import { type Layout, layoutOf } from './layout.ts';
import { trimLogs } from './logs.ts';
import { openPorts } from './ports.ts';
import { hasSettled, isStopping, noteSettled, readIdentity, writeIdentity } from './records.ts';
import { pushSystemImages, serveRegistry } from './registry.ts';
import { readSettings, type Settings } from './settings.ts';
import { openSupervision, type Supervision } from './supervise.ts';
import { applySystemObjects } from './system-objects.ts';
import type { ClusterState, ProcessStatus, ServicePort } from './types.ts';
import { provisionVolumes } from './volumes.ts';

/** What the control socket answers at /status. */
export interface SupervisorReport {
  readonly state: ClusterState;
  readonly node: { readonly ready: boolean; readonly reason?: string };
  readonly dns: { readonly ready: boolean; readonly reason?: string };
  readonly processes: readonly ProcessStatus[];
  readonly ports: readonly ServicePort[];
}

type Answer = 'ready' | { readonly reason: string };

function log(line: string): void {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}

async function main(): Promise<void> {
  const layout = layoutOf(process.argv[2]);
  const settings = await readSettings(layout);
  if (!settings) throw new Error(`there is no cluster ${layout.name}`);
  // One at a time, whoever starts a second. The lock of a killed one is recognised.
  await withLock(join(layout.run, 'supervisor.lock'), () => supervise(layout, settings), { timeout: 500 });
}

async function supervise(layout: Layout, settings: Settings): Promise<void> {
  await writeIdentity(layout, 'supervisor', process.pid);
  let ending = false;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, () => (ending = true));
  process.on('unhandledRejection', (error) => log(`defect: ${(error as Error)?.stack ?? error}`));
  log(`supervisor of ${layout.name}: process ${process.pid}`);

  let node: Answer = { reason: 'the API server is not ready yet' };
  let dns: Answer = { reason: 'the API server is not ready yet' };

  let running: Supervision | undefined;
  const tellPortal = () => {
    const portal = running?.process('portal');
    if (portal) signal(portal, 'SIGHUP');
  };
  const ports = await openPorts(layout, settings, tellPortal, log);
  const limits = process.report.getReport() as { userLimits?: { open_files?: { hard?: number | string } } };
  const openFiles = Number(limits.userLimits?.open_files?.hard);
  const supervision: Supervision = await openSupervision({
    layout,
    settings,
    components: components({ layout, settings, openFiles: Number.isInteger(openFiles) ? openFiles : 1_048_576 }),
    revision: () => ports.revision,
    spare: () => [process.pid, ...[readIdentity(layout, 'guard')?.pid ?? 0]],
    log,
  });
  running = supervision;

  let settled = hasSettled(layout);
  const whole = () => supervision.allReady() && node === 'ready' && dns === 'ready' && ports.status().apiListening;
  const report = (): SupervisorReport => {
    const { services, apiListening, apiReason } = ports.status();
    const processes = supervision
      .status()
      .map((one) =>
        one.name === 'portal' && one.state === 'ready' && !apiListening
          ? { ...one, state: 'unwell' as const, reason: apiReason ?? 'the API is not published yet' }
          : one,
      );
    return {
      state: whole() ? 'running' : settled ? 'degraded' : 'starting',
      node: { ready: node === 'ready', ...(node !== 'ready' && { reason: node.reason }) },
      dns: { ready: dns === 'ready', ...(dns !== 'ready' && { reason: dns.reason }) },
      processes: [...processes, ...ownProcesses(layout)],
      ports: services,
    };
  };

  await serveControl(layout, report);
  await serveRegistry(layout, settings);
  const images = retrying(
    'images',
    () => pushSystemImages(layout, settings),
    () => ending,
  );

  // Everything that needs the API is opened when it first is ready, and stays: it finds back after a restart.
  let api: Api | undefined;
  let applied = -1;
  let applying = false;
  const withApi = () => {
    if (supervision.phase('apiserver') !== 'ready') return;
    if (!api) {
      api = openApi(probeSocket(layout, 'apiserver'), supervisorClient(layout));
      ports.follow(api);
      provisionVolumes(api, layout, log);
      void watchNode(
        api,
        layout,
        (answer) => (node = answer),
        () => ending,
      );
      void watchDns(
        layout,
        (answer) => (dns = answer),
        () => ending,
      );
    }
    const generation = supervision.generation('apiserver');
    if (applied === generation || applying) return;
    applying = true;
    applySystemObjects(api, settings)
      .then(() => (applied = generation))
      .catch((error: Error) => log(`system objects: ${error.message}`))
      .finally(() => (applying = false));
  };

  let lastGuardLook = 0;
  let lastLogLook = 0;
  let lastState = '';
  while (!ending && !isStopping(layout)) {
    await supervision.tick();
    withApi();
    const now = performance.now();
    if (now - lastGuardLook > 500) {
      lastGuardLook = now;
      await ensureGuard(layout);
    }
    if (now - lastLogLook > 60_000) {
      lastLogLook = now;
      await trimLogs(layout);
    }
    const isWhole = whole();
    if (isWhole && !settled) {
      settled = true;
      await noteSettled(layout);
    }
    const state = isWhole ? 'running' : settled ? 'degraded' : 'starting';
    if (state !== lastState) log(`cluster ${state}`);
    lastState = state;
    await sleep(isWhole ? 200 : 40);
  }
  ending = true;
  log('supervisor ends');
  await Promise.race([images, sleep(100)]);
  // Sockets and watches would keep the process; nothing of it has to be finished.
  process.exit(0);
}

function ownProcesses(layout: Layout): ProcessStatus[] {
  return (['supervisor', 'guard'] as const).map((name) => {
    const identity = readIdentity(layout, name);
    return {
      name,
      pid: identity?.pid,
      state: identity ? ('ready' as const) : ('exited' as const),
      rss: identity ? residentBytes(identity) : 0,
      restarts: 0,
    };
  });
}

async function serveControl(layout: Layout, report: () => SupervisorReport): Promise<void> {
  const server = createHttpServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/status') {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(report()));
  });
  await rm(layout.controlSocket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(layout.controlSocket, resolve);
  });
  await chmod(layout.controlSocket, 0o600);
}

async function ensureGuard(layout: Layout): Promise<void> {
  if (readIdentity(layout, 'guard') || isStopping(layout)) return;
  const { program, args, env } = guardCommand(layout);
  const output = openSync(join(layout.logs, 'supervisor.log'), 'a', 0o600);
  const child = spawn(program, args, { cwd: '/', env, stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  child.on('error', (error) => log(`guard: ${error.message}`));
  child.unref();
  if (child.pid !== undefined && identify(child.pid)) {
    await writeIdentity(layout, 'guard', child.pid);
    log(`guard: started as process ${child.pid}`);
  }
}

async function watchNode(
  api: Api,
  layout: Layout,
  tell: (answer: Answer) => void,
  ended: () => boolean,
): Promise<void> {
  while (!ended()) {
    const answer = await api.get(`/api/v1/nodes/${layout.nodeName}`).then(nodeReady, (error: Error) => ({
      reason: error.message,
    }));
    tell(answer);
    await sleep(answer === 'ready' ? 2_000 : 100);
  }
}

function nodeReady(node: { status?: Readonly<Record<string, unknown>> }): Answer {
  const conditions = (node.status?.conditions ?? []) as { type?: string; status?: string; message?: string }[];
  const ready = conditions.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') return 'ready';
  return { reason: ready?.message ?? 'the node has not reported yet' };
}

async function watchDns(layout: Layout, tell: (answer: Answer) => void, ended: () => boolean): Promise<void> {
  const socket = probeSocket(layout, 'dns');
  while (!ended()) {
    const answer = await askDns(socket);
    tell(answer);
    await sleep(answer === 'ready' ? 5_000 : 100);
  }
}

async function retrying(what: string, work: () => Promise<void>, ended: () => boolean): Promise<void> {
  for (let pause = 200; !ended(); pause = Math.min(pause * 2, 10_000)) {
    try {
      await work();
      return;
    } catch (error) {
      log(`${what}: ${(error as Error).message}`);
      await sleep(pause);
    }
  }
}

await main().catch((error: Error) => {
  log(`supervisor: ${error.message}`);
  process.exit(1);
});
