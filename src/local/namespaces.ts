import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { access, mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import { run } from '../process/index.ts';
import { addresses } from './addresses.ts';
import { cgroupMembers } from './cgroup.ts';
import { type Component, goEnvironment, systemPath } from './components/component.ts';
import { LocalFault } from './fault.ts';
import type { Layout } from './layout.ts';
import type { Settings } from './settings.ts';

const environment = { PATH: systemPath, LANG: 'C.UTF-8' };

/**
 * Makes the network namespace where it is missing, with the node's address and the way to Services in it. A pair of
 * virtual cables with both ends inside stands for the network card: it is there on every kernel that has pods.
 */
export async function ensureNetworkNamespace(layout: Layout): Promise<void> {
  if (!isNamespaceFile(layout.netnsFile)) {
    await mkdir(dirname(layout.netnsFile), { recursive: true, mode: 0o755 });
    await writeFile(layout.netnsFile, '', { mode: 0o444 });
    await run('unshare', [`--net=${layout.netnsFile}`, 'true'], { env: environment });
  }
  // Each line may have been done before: by a run that was killed in the middle.
  const script = `
    set -eu
    ip link set lo up
    ip link show node0 >/dev/null 2>&1 || ip link add node0 type veth peer name node1
    ip address replace ${addresses.node}/32 dev node0
    ip link set node0 up
    ip link set node1 up
    ip route replace ${addresses.services} dev node0 src ${addresses.node}
    echo 1 > /proc/sys/net/ipv4/ip_forward
  `;
  await run('nsenter', [`--net=${layout.netnsFile}`, 'sh', '-c', script], { env: environment });
}

/** Removes the namespace's name; the namespace itself ends with the last process inside. */
export async function removeNetworkNamespace(layout: Layout): Promise<void> {
  while (isNamespaceFile(layout.netnsFile)) await run('umount', ['-l', layout.netnsFile], { env: environment });
  await rm(layout.netnsFile, { force: true });
  await rmdir(dirname(layout.netnsFile)).catch(() => {}); // others' namespaces are in it
}

/** nsfs gives all of its files one device, that of our own namespaces' files. */
export function isNamespaceFile(path: string): boolean {
  try {
    return statSync(path).dev === statSync('/proc/self/ns/net').dev;
  } catch {
    return false;
  }
}

const markerFile = 'mounts';

/**
 * The anchor as a component: a process that does nothing but hold the mount namespace. Where it was killed and others
 * live on inside, a new one joins them, so that their mounts (the containers' among them) stay.
 */
export async function anchor(layout: Layout, settings: Settings): Promise<Component> {
  const pause = `${settings.engine.folder}/pause`;
  const enter = await mountNamespace(layout);
  const inside = enter
    ? ['nsenter', `--net=${layout.netnsFile}`, `--mount=${enter}`, pause]
    : [
        'nsenter',
        `--net=${layout.netnsFile}`,
        'unshare',
        '--mount',
        '--propagation',
        'private',
        'sh',
        join(import.meta.dirname, 'prepare-node.sh'),
        layout.nodeLog,
        pause,
      ];
  return {
    name: 'anchor',
    program: inside[0]!,
    args: inside.slice(1),
    env: goEnvironment(layout, 20),
    inside: false,
    needs: [],
    files: {},
    probe: { kind: 'file', path: '/run/banksman-node' },
  };
}

/** Notes which mount namespace is the cluster's, once the anchor is ready. */
export async function noteMountNamespace(layout: Layout, pid: number): Promise<void> {
  const path = join(layout.run, markerFile);
  const mine = readlinkSync(`/proc/${pid}/ns/mnt`);
  // Whole or not at all: an empty one would be taken for the end of the namespace.
  if ((await readFile(path, 'utf8').catch(() => '')) !== mine) await writeAtomically(path, mine, 0o600);
}

/** The cluster's mount namespace as a file to enter it by: that of any process inside; undefined where none lives. */
export async function mountNamespace(layout: Layout): Promise<string | undefined> {
  const noted = await readFile(join(layout.run, markerFile), 'utf8').catch(() => '');
  if (noted === '') return undefined;
  for (const pid of await cgroupMembers(layout.cgroup, 'system')) {
    const path = `/proc/${pid}/ns/mnt`;
    try {
      if (readlinkSync(path) === noted && !isZombie(pid)) return path;
    } catch {
      // It has just ended.
    }
  }
  return undefined;
}

function isZombie(pid: number): boolean {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).startsWith('Z');
}

/** How a program is started inside: the file of the mount namespace must be that of a living process. */
export function entering(layout: Layout, mounts: string, program: string, args: readonly string[]): string[] {
  return ['nsenter', `--net=${layout.netnsFile}`, `--mount=${mounts}`, program, ...args];
}

/** A path inside of the cluster's mount namespace, as it is reached from outside. */
export function insidePath(mounts: string, path: string): string {
  return join(dirname(dirname(mounts)), 'root', path);
}

/** @throws LocalFault local/kernel where the kernel lacks what a node needs */
export async function checkKernel(): Promise<void> {
  for (const [path, what] of [
    ['/proc/self/ns/net', 'network namespaces (CONFIG_NET_NS)'],
    ['/proc/self/ns/mnt', 'mount namespaces'],
  ] as const) {
    await access(path).catch(() => {
      throw new LocalFault('local/kernel', `this kernel has no ${what}`, {
        next: 'run on a kernel of a common distribution, version 5.13 or newer',
      });
    });
  }
}
