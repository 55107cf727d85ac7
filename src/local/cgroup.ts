import { readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LocalFault } from './fault.ts';

/**
 * A cluster's processes are found by their cgroup: whatever a process starts, and however often it changes its
 * session or parent, it stays in it. In version 1 each controller has a tree of its own; the group is made in all of them.
 */
export interface Hierarchy {
  readonly mountPoint: string;
  readonly version: 1 | 2;
  /** Version 1 only: `cpu`, `memory`, `name=systemd`... */
  readonly controllers: readonly string[];
}

/** Group of the control plane, the node's own processes and the containers' shims, below the cluster's. */
const systemGroup = 'system';

export function readHierarchies(mounts: string = readFileSync('/proc/self/mounts', 'utf8')): Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of mounts.split('\n')) {
    const [, mountPoint = '', type, options = ''] = line.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    const generic = new Set([
      'rw',
      'ro',
      'relatime',
      'nosuid',
      'nodev',
      'noexec',
      'nsdelegate',
      'memory_recursiveprot',
    ]);
    const controllers =
      type === 'cgroup2' ? [] : options.split(',').filter((option) => !generic.has(option) && option !== 'xattr');
    found.push({ mountPoint: unescapeMount(mountPoint), version: type === 'cgroup2' ? 2 : 1, controllers });
  }
  return found;
}

/** Octal escapes of /proc/self/mounts: a space is \040. */
function unescapeMount(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/**
 * Makes the cluster's group and its `system` group in each hierarchy.
 *
 * @throws LocalFault local/no-cgroups where they are read-only or lack a controller that a node needs
 */
export async function makeCgroups(group: string): Promise<void> {
  const hierarchies = readHierarchies();
  await checkControllers(hierarchies);
  for (const { mountPoint, version, controllers } of hierarchies) {
    for (const path of [join(mountPoint, group), join(mountPoint, group, systemGroup)]) {
      try {
        await mkdir(path, { recursive: true });
        // A cpuset of version 1 begins empty, and an empty one takes no process: cpuset(7).
        if (version === 1 && controllers.includes('cpuset')) await inheritCpuset(path);
      } catch (cause) {
        throw new LocalFault('local/no-cgroups', `the cgroup ${path} can't be made`, {
          cause,
          notes: [(cause as Error).message],
          next: 'run on a machine, or in a container, that may make cgroups (with Docker: --privileged --cgroupns=private)',
        });
      }
    }
  }
}

async function checkControllers(hierarchies: readonly Hierarchy[]): Promise<void> {
  const needed = ['cpu', 'cpuset', 'memory', 'pids'];
  const unified = hierarchies.find(({ version }) => version === 2);
  const available = new Set(hierarchies.flatMap(({ controllers }) => controllers));
  if (unified) {
    const text = await readFile(join(unified.mountPoint, 'cgroup.controllers'), 'utf8').catch(() => '');
    for (const controller of text.trim().split(/\s+/)) available.add(controller);
  }
  const missing = needed.filter((controller) => !available.has(controller));
  if (missing.length === 0) return;
  throw new LocalFault('local/no-cgroups', `the kernel offers no cgroup controller ${missing.join(', ')} here`, {
    next: 'mount the cgroup file system, or turn the controllers on with the kernel parameter cgroup_enable=memory',
  });
}

async function inheritCpuset(path: string): Promise<void> {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if ((await readFile(join(path, file), 'utf8')).trim() !== '') continue;
    await writeFile(join(path, file), await readFile(join(dirname(path), file), 'utf8'));
  }
}

/** The files that a process writes its id to in order to join the cluster's own processes. */
export function joinFiles(group: string): string[] {
  return readHierarchies().map(({ mountPoint }) => join(mountPoint, group, systemGroup, 'cgroup.procs'));
}

/** Ids of all processes in the group and below it. `part` limits them: the cluster's own, or the pods'. */
export async function cgroupMembers(group: string, part: 'all' | 'system' | 'pods' = 'all'): Promise<Set<number>> {
  const members = new Set<number>();
  for (const { mountPoint } of readHierarchies()) {
    const root = join(mountPoint, group);
    for (const path of await groupsBelow(root)) {
      const system = path === join(root, systemGroup) || path.startsWith(`${join(root, systemGroup)}/`);
      if (part !== 'all' && (part === 'system') !== system) continue;
      const text = await readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '');
      for (const pid of text.split('\n')) if (pid !== '' && pid !== '0') members.add(Number(pid));
    }
  }
  return members;
}

/**
 * Removes the group from each hierarchy. Its processes must have ended; the kernel frees the last of them
 * a moment later, so that this tries for a while.
 *
 * @returns paths that remain
 */
export async function removeCgroups(group: string, timeout = 5_000): Promise<string[]> {
  const deadline = Date.now() + timeout;
  for (;;) {
    const remaining: string[] = [];
    for (const { mountPoint } of readHierarchies()) {
      const paths = await groupsBelow(join(mountPoint, group));
      for (const path of paths.reverse()) {
        await rmdir(path).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') remaining.push(path);
        });
      }
    }
    if (remaining.length === 0 || Date.now() > deadline) return remaining;
    await sleep(20);
  }
}

/** A group and those below it, outer ones first; none where it doesn't exist. */
async function groupsBelow(path: string): Promise<string[]> {
  let entries: import('node:fs').Dirent[];
  try {
    entries = await readdir(path, { withFileTypes: true });
  } catch {
    return [];
  }
  const found = [path];
  for (const entry of entries) if (entry.isDirectory()) found.push(...(await groupsBelow(join(path, entry.name))));
  return found;
}
