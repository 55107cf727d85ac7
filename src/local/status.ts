import { readdir } from 'node:fs/promises';
import { stateFolder } from '../disk/index.ts';
import { cgroupMembers } from './cgroup.ts';
import { askSupervisor } from './control.ts';
import { LocalFault } from './fault.ts';
import { authorityPath, certificatePath, keyPath } from './keys.ts';
import { type Layout, layoutOf } from './layout.ts';
import { readSettings, type Settings } from './settings.ts';
import type { ClusterAccess, ClusterStatus } from './types.ts';

/** What a cluster does now. Says `absent` for one that doesn't exist. @throws LocalFault local/bad-name, local/bad-state */
export async function status(request: { readonly name?: string } = {}): Promise<ClusterStatus> {
  const layout = layoutOf(request.name);
  const settings = await readSettings(layout).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EACCES' ? notReadable(layout) : error;
  });
  return statusOf(layout, settings);
}

export async function statusOf(layout: Layout, settings: Settings | undefined): Promise<ClusterStatus> {
  const base = {
    name: layout.name,
    ...(settings && { api: `https://127.0.0.1:${settings.apiPort}` }),
    kubeconfig: layout.kubeconfig,
    context: layout.context,
    versions: settings?.versions ?? {},
    logs: layout.logs,
  };
  const report = await askSupervisor(layout);
  if (report) {
    const { state, node, dns, processes, ports } = report;
    return { ...base, state, node: { name: layout.nodeName, ...node }, dns, processes, ports };
  }
  const remains = (await cgroupMembers(layout.cgroup)).size > 0;
  const reason = remains ? 'its supervisor does not answer' : 'the cluster is not up';
  return {
    ...base,
    state: remains ? 'broken' : settings ? 'stopped' : 'absent',
    node: { name: layout.nodeName, ready: false, reason },
    dns: { ready: false, reason },
    processes: [],
    ports: [],
  };
}

/** Names of all clusters that have state on this machine. */
export async function list(): Promise<string[]> {
  const entries = await readdir(stateFolder('clusters'), { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

/** How to reach a cluster and its registry. It is a matter of names: whether the cluster is up, `status` says. */
export function clusterAccess(name?: string): ClusterAccess {
  const layout = layoutOf(name);
  return {
    kubeconfigPath: layout.kubeconfig,
    context: layout.context,
    registry: {
      name: 'registry.local',
      socketPath: layout.registrySocket,
      caPath: authorityPath(layout, 'registry'),
      certPath: certificatePath(layout, 'registry-user'),
      keyPath: keyPath(layout, 'registry-user'),
    },
  };
}

function notReadable(layout: Layout): LocalFault {
  return new LocalFault('local/not-root', `the state of the cluster ${layout.name} is root's alone`, {
    next: 'run it with sudo',
  });
}
