import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, readlink, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { run } from '../process/index.ts';
import { systemPath } from './components/component.ts';
import { LocalFault } from './fault.ts';
import type { Layout } from './layout.ts';
import { checkKernel } from './namespaces.ts';

/** What of the machine decides how a cluster is set up. */
export interface Machine {
  readonly cni: string;
  readonly proxyMode: 'nftables' | 'iptables';
  readonly snapshotter: 'overlayfs' | 'native';
  readonly containerd: string;
}

/** Programs of the operating system, and the Debian package of each. */
const programs = {
  containerd: 'containerd',
  'containerd-shim-runc-v2': 'containerd',
  runc: 'runc',
  ip: 'iproute2',
  iptables: 'iptables',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  setsid: 'util-linux',
  mount: 'mount',
  umount: 'mount',
} as const;

const pluginFolders = ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'];
const plugins = ['ptp', 'host-local', 'loopback', 'portmap'];

/** Bytes below which no cluster is started: etcd stops at a full disk in the middle of a write. */
const leastDisk = 1024 ** 3;

/** @throws LocalFault for what the machine lacks: one fault that names all missing programs, not one at a time */
export async function examineMachine(layout: Layout): Promise<Machine> {
  requireLinuxRoot();
  await checkKernel();
  const missing = new Set<string>();
  const lacking: string[] = [];
  for (const [program, name] of Object.entries(programs)) {
    if (await findProgram(program)) continue;
    lacking.push(program);
    missing.add(name);
  }
  const cni = await findPlugins();
  if (cni === undefined) {
    lacking.push(`CNI plugins (${plugins.join(', ')})`);
    missing.add('containernetworking-plugins');
  }
  if (lacking.length > 0 || cni === undefined) {
    throw new LocalFault('local/missing-program', `this machine lacks ${lacking.join(', ')}`, {
      next: `run script/bootstrap, or install the packages ${[...missing].join(' ')} (their names in Debian)`,
    });
  }
  await requireDisk(layout);
  return {
    cni,
    proxyMode: await proxyMode(),
    snapshotter: await snapshotter(layout),
    containerd: await containerdVersion(),
  };
}

/** @throws LocalFault local/not-linux, local/not-root */
export function requireLinuxRoot(): void {
  if (process.platform !== 'linux') {
    throw new LocalFault('local/not-linux', `a cluster on this machine needs Linux, and this is ${process.platform}`, {
      next: 'use Linux, or a Linux virtual machine; --context NAME deploys to any cluster of your kubeconfig instead',
    });
  }
  if (process.geteuid?.() !== 0) {
    throw new LocalFault(
      'local/not-root',
      'a cluster on this machine needs root: it makes namespaces, mounts and cgroups',
      {
        next: 'run it with sudo; --context NAME deploys to any cluster of your kubeconfig without root',
      },
    );
  }
}

async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of systemPath.split(':')) {
    const path = join(folder, name);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

const isExecutable = (path: string) =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

async function findPlugins(): Promise<string | undefined> {
  for (const folder of pluginFolders) {
    const found = await Promise.all(plugins.map((name) => isExecutable(join(folder, name))));
    if (found.every(Boolean)) return folder;
  }
  return undefined;
}

async function requireDisk(layout: Layout): Promise<void> {
  await mkdir(layout.root, { recursive: true, mode: 0o700 });
  const { bavail, bsize } = await statfs(layout.root);
  const free = bavail * bsize;
  if (free >= leastDisk) return;
  throw new LocalFault(
    'local/disk-full',
    `only ${Math.floor(free / 1024 ** 2)} MiB are free where the cluster's state lies (${layout.root})`,
    { next: 'make room for at least 1 GiB, or set BANKSMAN_STATE to a folder on another disk' },
  );
}

/** kube-proxy's own conditions for its nftables mode: Linux 5.13 and nft 1.0.1. */
async function proxyMode(): Promise<'nftables' | 'iptables'> {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major < 5 || (major === 5 && minor < 13) || !(await findProgram('nft'))) return 'iptables';
  const { stdout } = await run('nft', ['--version'], { env: { PATH: systemPath } });
  const version = /v(\d+)\.(\d+)\.(\d+)/.exec(stdout.toString('utf8'))?.slice(1).map(Number) ?? [0, 0, 0];
  const [first = 0, second = 0, third = 0] = version;
  return first > 1 || (first === 1 && (second > 0 || third >= 1)) ? 'nftables' : 'iptables';
}

/** An overlay can't lie on an overlay, which is what the root of a container is. */
async function snapshotter(layout: Layout): Promise<'overlayfs' | 'native'> {
  const overlay = 0x794c7630; // OVERLAYFS_SUPER_MAGIC of linux/magic.h
  return (await statfs(layout.root)).type === overlay ? 'native' : 'overlayfs';
}

async function containerdVersion(): Promise<string> {
  const { stdout } = await run('containerd', ['--version'], { env: { PATH: systemPath } });
  return /\d+\.\d+\.\d+[^\s]*/.exec(stdout.toString('utf8'))?.[0] ?? 'unknown';
}

/** `containerd (process 4711)`: who listens at a TCP port of this machine; undefined where nobody is found. */
export async function portHolder(port: number): Promise<string | undefined> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of (await readFile(file, 'utf8').catch(() => '')).split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      // proc_pid_net_tcp: 0A is the state LISTEN; the tenth field is the socket's inode.
      if (fields[3] === '0A' && fields[1]?.endsWith(`:${hex}`)) inodes.add(`socket:[${fields[9]}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      if (!inodes.has(target)) continue;
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a process')).trim();
      return `${name} (process ${pid})`;
    }
  }
  return undefined;
}
