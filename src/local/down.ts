import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLock } from '../disk/index.ts';
import { cgroupMembers, removeCgroups } from './cgroup.ts';
import { LocalFault } from './fault.ts';
import { type Identity, identify, isAlive, readStat, signal } from './identity.ts';
import { type Layout, layoutOf } from './layout.ts';
import { requireLinuxRoot } from './machine.ts';
import { isNamespaceFile, removeNetworkNamespace } from './namespaces.ts';
import { noteStopping, openRunFolder, readIdentity, readRecords } from './records.ts';
import { readSettings } from './settings.ts';
import type { DownRequest, DownResult } from './types.ts';

/** Milliseconds that the programs in the containers have to end by themselves. */
const graceForPods = 10_000;
/** Milliseconds until the dead are collected. In a container whose first process collects nobody, they stay. */
const graceForInit = 3_000;
/** Milliseconds that the stores have to write what they hold. */
const graceForComponents = 4_000;

/**
 * Stops a cluster: no process, mount, namespace or cgroup of it stays. Its state does, unless it is to be purged.
 * What an earlier run left half done is completed.
 *
 * @throws LocalFault local/not-root, local/bad-name, local/remains
 */
export async function down(request: DownRequest): Promise<DownResult> {
  requireLinuxRoot();
  const layout = layoutOf(request.name);
  const { progress, purge = false } = request;
  return withLock(
    layout.lock,
    async () => {
      const existed = purge && (await hasState(layout));
      const task = progress.begin(`cluster ${layout.name}`);
      try {
        const stopped = await stopCluster(layout, (text) => task.update(text));
        if (purge) {
          task.update('removing its state');
          await rm(layout.root, { recursive: true, force: true, maxRetries: 3 });
        }
        task.done();
        return { stopped, purged: existed };
      } catch (error) {
        task.fail();
        throw error;
      }
    },
    { onWait: (holder) => progress.say(`process ${holder} is at work on the cluster ${layout.name}; waiting for it`) },
  );
}

async function hasState(layout: Layout): Promise<boolean> {
  return (await readSettings(layout).catch(() => true)) !== undefined;
}

/**
 * Ends everything of a cluster. The caller holds the cluster's lock.
 *
 * @returns false where there was nothing
 */
export async function stopCluster(layout: Layout, tell: (text: string) => void): Promise<boolean> {
  const members = [...(await cgroupMembers(layout.cgroup))].flatMap((pid) => identify(pid) ?? []);
  const there =
    members.length > 0 || isNamespaceFile(layout.netnsFile) || readIdentity(layout, 'supervisor') !== undefined;
  if (there) {
    await openRunFolder(layout);
    await stopSupervision(layout);
    await stopPods(layout, tell);
    tell('stopping its processes');
    await stopStores(layout);
  }
  const killed = await killAll(layout, 10_000);
  const left = await cgroupMembers(layout.cgroup);
  const groups = left.size === 0 ? await removeCgroups(layout.cgroup) : [];
  await removeNetworkNamespace(layout);
  if (left.size > 0 || groups.length > 0) {
    throw new LocalFault('local/remains', `something of the cluster ${layout.name} can't be ended`, {
      notes: [...[...left].map((pid) => `process ${pid}`), ...groups.map((path) => `cgroup ${path}`)],
      next: 'look at what these wait for (a process in the state D waits for a disk or a network file system), and try again',
    });
  }
  await rm(layout.run, { recursive: true, force: true });
  // They were left to the machine's first process, which collects them in its own time.
  const isKept = ({ pid, started }: Identity) => readStat(pid)?.started === started;
  await until(() => ![...members, ...killed].some(isKept), graceForInit);
  return there;
}

/** Guard and supervisor first: they would start again what is ended. */
async function stopSupervision(layout: Layout): Promise<void> {
  await noteStopping(layout);
  const both = (['guard', 'supervisor'] as const).flatMap((who) => readIdentity(layout, who) ?? []);
  for (const one of both) signal(one, 'SIGTERM');
  await until(() => both.every((one) => !isAlive(one)), 2_000);
  for (const one of both) signal(one, 'SIGKILL');
  // It would see to it that the pods, which are ended next, come back.
  const kubelet = (await readRecords(layout)).get('kubelet');
  if (kubelet) {
    signal(kubelet, 'SIGKILL');
    await until(() => !isAlive(kubelet), 2_000);
  }
}

/** Asks the first process of each container to end, as the kubelet does: databases write what they hold. */
async function stopPods(layout: Layout, tell: (text: string) => void): Promise<void> {
  const shims = await cgroupMembers(layout.cgroup, 'system');
  const first: Identity[] = [];
  for (const pid of await cgroupMembers(layout.cgroup, 'pods')) {
    const identity = identify(pid);
    // A container's first process is the child of a shim, and shims are among the cluster's own processes.
    if (identity && shims.has(readStat(pid)?.parent ?? 0)) first.push(identity);
  }
  if (first.length === 0) return;
  for (const one of first) signal(one, 'SIGTERM');
  const started = Date.now();
  await until(() => {
    const alive = first.filter(isAlive).length;
    tell(`stopping ${alive} containers, ${Math.round((Date.now() - started) / 1000)} s`);
    return alive === 0;
  }, graceForPods);
}

/** Those that write to the disk end by themselves. The others hold nothing but connections, and wait long for those. */
async function stopStores(layout: Layout): Promise<void> {
  const records = await readRecords(layout);
  const stores = ['etcd', 'containerd'].flatMap((name) => records.get(name) ?? []);
  for (const [name, record] of records) if (!stores.includes(record) && name !== 'anchor') signal(record, 'SIGKILL');
  for (const store of stores) signal(store, 'SIGTERM');
  await until(() => !stores.some(isAlive), graceForComponents);
}

/** Ends all that is left, again and again until nothing is: what ends may have started something. @returns whom it ended */
async function killAll(layout: Layout, timeout: number): Promise<Identity[]> {
  const killed: Identity[] = [];
  const deadline = Date.now() + timeout;
  for (;;) {
    const members = await cgroupMembers(layout.cgroup);
    members.delete(process.pid);
    if (members.size === 0 || Date.now() > deadline) return killed;
    for (const pid of members) {
      const identity = identify(pid);
      if (!identity) continue;
      killed.push(identity);
      signal(identity, 'SIGKILL');
    }
    await sleep(20);
  }
}

async function until(condition: () => boolean, timeout: number): Promise<void> {
  const deadline = Date.now() + timeout;
  while (!condition() && Date.now() < deadline) await sleep(25);
}
