import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import { cgroupMembers } from './cgroup.ts';
import type { Component, ComponentName } from './components/component.ts';
import { type Action, adopted, decide, type Health, initialHealth } from './health.ts';
import { type Identity, identify, isAlive, readStat, residentBytes, signal } from './identity.ts';
import type { Layout } from './layout.ts';
import {
  anchor,
  ensureNetworkNamespace,
  entering,
  insidePath,
  isNamespaceFile,
  mountNamespace,
  noteMountNamespace,
} from './namespaces.ts';
import { ask } from './probe.ts';
import { isStopping, type ProcessRecord, readRecords, writeRecords } from './records.ts';
import type { Settings } from './settings.ts';
import type { ProcessStatus } from './types.ts';

/** Keeps the processes of one cluster running. */
export interface Supervision {
  /** One look at all of them; starts and ends what has to be. Never two at a time. */
  tick(): Promise<void>;
  phase(name: ComponentName): Health['phase'];
  /** Identity of a component's process while it lives. */
  process(name: ComponentName): Identity | undefined;
  /** Goes up at each start of the component. */
  generation(name: ComponentName): number;
  allReady(): boolean;
  status(): ProcessStatus[];
}

interface Watched {
  readonly name: ComponentName;
  health: Health;
  identity: Identity | undefined;
  made: string;
  generation: number;
  probe: 'ready' | { reason: string } | undefined;
  probing: boolean;
  nextProbe: number;
  ended: string | undefined;
}

/** Milliseconds between two probes of a component that isn't ready, and of one that is. */
const probeEvery = { starting: 60, ready: 2_000 } as const;

/**
 * @param spare processes in the cluster's cgroup that are never ended: the supervisor and its guard
 * @param revision that the portal should have
 */
export async function openSupervision(request: {
  readonly layout: Layout;
  readonly settings: Settings;
  readonly components: readonly Component[];
  readonly revision: () => string;
  readonly spare: () => readonly number[];
  readonly log: (line: string) => void;
}): Promise<Supervision> {
  const { layout, settings, components, log } = request;
  const clock = () => performance.now();
  const byName = new Map(components.map((component) => [component.name, component]));
  const records = await readRecords(layout);
  const order: ComponentName[] = ['anchor', ...components.map(({ name }) => name)];
  const watched = new Map<ComponentName, Watched>(order.map((name) => [name, takeOver(name)]));

  function takeOver(name: ComponentName): Watched {
    const fresh: Watched = {
      name,
      health: initialHealth(clock()),
      identity: undefined,
      made: '',
      generation: 0,
      probe: undefined,
      probing: false,
      nextProbe: 0,
      ended: undefined,
    };
    const record = records.get(name);
    if (!record) return fresh;
    const component = byName.get(name);
    if (!isAlive(record)) return { ...fresh, health: { ...fresh.health, restarts: record.restarts } };
    if (component && record.made !== fingerprint(component)) {
      log(`${name}: what it was started with has changed; it is started anew`);
      signal(record, 'SIGKILL');
      return { ...fresh, health: { ...fresh.health, restarts: record.restarts } };
    }
    log(`${name}: process ${record.pid} runs; taken over`);
    return { ...fresh, health: adopted(clock(), record.restarts), identity: record, made: record.made };
  }

  const isReady = (name: ComponentName) => watched.get(name)?.health.phase === 'ready';
  const needsReady = (one: Watched) => (byName.get(one.name)?.needs ?? []).every(isReady);

  async function start(one: Watched): Promise<void> {
    const component = one.name === 'anchor' ? await prepareAnchor() : byName.get(one.name)!;
    let command = [component.program, ...component.args];
    if (component.inside) {
      const mounts = await mountNamespace(layout);
      if (mounts === undefined) throw new Error('the mount namespace is gone');
      command = entering(layout, mounts, component.program, component.args);
    }
    for (const [path, text] of Object.entries(component.files)) await writeChanged(path, text);
    const output = openSync(join(layout.logs, `${one.name}.log`), 'a', 0o600);
    try {
      const child = spawn(command[0]!, command.slice(1), {
        cwd: '/',
        env: component.env,
        stdio: ['ignore', output, output],
        // A session of its own: what ends the supervisor doesn't end it.
        detached: true,
      });
      one.ended = undefined;
      one.probe = undefined;
      one.nextProbe = 0;
      one.generation++;
      one.made = fingerprint(component);
      const generation = one.generation;
      child.once('error', (error) => {
        if (one.generation === generation) one.ended = error.message;
      });
      child.once('exit', (code, by) => {
        if (one.generation === generation)
          one.ended = code === null ? `ended by ${by}` : `ended with exit code ${code}`;
      });
      child.unref();
      one.identity = child.pid === undefined ? undefined : identify(child.pid);
    } finally {
      closeSync(output);
    }
    if (one.identity) records.set(one.name, { ...one.identity, made: one.made, restarts: one.health.restarts });
    await writeRecords(layout, records as Map<string, ProcessRecord>);
    log(`${one.name}: started as process ${one.identity?.pid ?? '?'}`);
  }

  /** Where nobody is left who holds the mounts, nothing that was started in them can be of use. */
  async function prepareAnchor(): Promise<Component> {
    if ((await mountNamespace(layout)) === undefined || !isNamespaceFile(layout.netnsFile)) {
      const spare = new Set(request.spare());
      for (const pid of await cgroupMembers(layout.cgroup)) {
        // The guard's own child is no more than a pause in its loop.
        if (!spare.has(pid) && !spare.has(readStat(pid)?.parent ?? 0)) killQuietly(pid);
      }
    }
    await ensureNetworkNamespace(layout);
    return anchor(layout, settings);
  }

  function probe(one: Watched, component: Component | undefined): void {
    const now = clock();
    if (one.probing || now < one.nextProbe || !one.identity) return;
    one.probing = true;
    const generation = one.generation;
    const what = component?.probe ?? { kind: 'file' as const, path: '/run/banksman-node' };
    const mounts = `/proc/${one.identity.pid}/ns/mnt`;
    const root = what.kind === 'file' || what.kind === 'socket' ? insidePath(mounts, '').replace(/\/$/, '') : '';
    void ask(what, root, request.revision()).then(async (answer) => {
      if (one.name === 'anchor' && answer === 'ready' && one.identity) {
        await noteMountNamespace(layout, one.identity.pid).catch(() => {});
      }
      one.probing = false;
      if (one.generation !== generation) return;
      one.probe = answer;
      one.nextProbe = clock() + (answer === 'ready' ? probeEvery.ready : probeEvery.starting);
    });
  }

  async function look(one: Watched): Promise<void> {
    const alive = one.identity !== undefined && isAlive(one.identity);
    if (alive) probe(one, byName.get(one.name));
    const decision: { health: Health; action: Action } = decide(one.health, {
      now: clock(),
      alive,
      needsReady: needsReady(one),
      probe: one.probe,
      ...(one.ended !== undefined && { ended: one.ended }),
    });
    if (decision.health.phase !== one.health.phase) {
      const { phase, reason } = decision.health;
      if (phase !== 'starting') log(`${one.name}: ${phase}${reason === undefined ? '' : ` (${reason})`}`);
      // Ended and started again within one look.
      else if (one.health.phase !== 'waiting' && one.ended) log(`${one.name}: ${one.ended}`);
    }
    one.health = decision.health;
    if (decision.action === 'kill' && one.identity) {
      log(`${one.name}: it hangs (${one.health.reason ?? 'no answer'}); it is ended`);
      signal(one.identity, 'SIGKILL');
    }
    if (decision.action === 'start') {
      try {
        await start(one);
      } catch (error) {
        one.identity = undefined;
        one.ended = (error as Error).message;
        log(`${one.name}: can't be started: ${one.ended}`);
      }
    }
  }

  return {
    async tick() {
      for (const one of watched.values()) {
        if (isStopping(layout)) return;
        await look(one);
      }
    },
    phase: (name) => watched.get(name)!.health.phase,
    process: (name) => {
      const identity = watched.get(name)?.identity;
      return identity && isAlive(identity) ? identity : undefined;
    },
    generation: (name) => watched.get(name)!.generation,
    allReady: () => [...watched.values()].every(({ health }) => health.phase === 'ready'),
    status: () =>
      [...watched.values()].map(({ name, health, identity }) => ({
        name,
        pid: identity && isAlive(identity) ? identity.pid : undefined,
        state: health.phase,
        rss: identity ? residentBytes(identity) : 0,
        restarts: Math.max(0, health.restarts),
        ...(health.reason !== undefined && health.phase !== 'ready' && { reason: health.reason }),
      })),
  };
}

function fingerprint(component: Component): string {
  const { program, args, env, inside, files } = component;
  return createHash('sha256')
    .update(JSON.stringify([program, args, env, inside, files]))
    .digest('hex')
    .slice(0, 16);
}

async function writeChanged(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeAtomically(path, text, 0o600);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
