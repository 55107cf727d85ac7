import { join } from 'node:path';
import { stateFolder } from '../disk/index.ts';
import { LocalFault } from './fault.ts';

/** Name of the cluster where none is given. */
export const defaultName = 'local';

/** Where everything of one cluster lies. Nothing of a cluster is written outside of `root`, but for its namespace and cgroups. */
export interface Layout {
  readonly name: string;
  readonly root: string;
  /** What was chosen at the first `up`. */
  readonly settings: string;
  /** Keys and certificates. */
  readonly pki: string;
  /** What the components read: configurations and kubeconfigs. */
  readonly config: string;
  /** Sockets and process ids; removed by `down`. */
  readonly run: string;
  readonly logs: string;
  readonly etcd: string;
  readonly containerd: string;
  readonly kubelet: string;
  /** `/var/log` as the node sees it: the logs of the pods. */
  readonly nodeLog: string;
  readonly volumes: string;
  /** Repositories and tags of `registry.local`. */
  readonly registry: string;
  /** The administrator's. */
  readonly kubeconfig: string;
  readonly context: string;
  readonly nodeName: string;
  /** Name of the network namespace, as `ip netns` shows it. */
  readonly netns: string;
  readonly netnsFile: string;
  /** Path of the cgroup, from each hierarchy's root. */
  readonly cgroup: string;
  readonly registrySocket: string;
  readonly controlSocket: string;
  /** Held by `up` and `down`; beside the root, because `down --purge` removes that. */
  readonly lock: string;
}

/** Longest path of a Unix socket, less the final zero byte: unix(7). */
const longestSocketPath = 107;

/**
 * @throws LocalFault local/bad-name for what is no name, local/bad-state where the state folder can't hold a cluster
 */
export function layoutOf(name: string = defaultName): Layout {
  // It becomes part of a host name, a cgroup's and a network namespace's name.
  if (!/^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/.test(name)) {
    throw new LocalFault('local/bad-name', `${JSON.stringify(name)} can't be the name of a cluster`, {
      next: 'use at most 30 lower-case letters, digits and dashes, with a letter first',
    });
  }
  const root = stateFolder('clusters', name);
  const run = join(root, 'run');
  const longest = join(run, 'controller-manager.sock');
  if (Buffer.byteLength(longest) > longestSocketPath) {
    throw new LocalFault('local/bad-state', `the state folder's path is too long for sockets: ${longest}`, {
      next: `set BANKSMAN_STATE to a folder whose path is at least ${Buffer.byteLength(longest) - longestSocketPath} bytes shorter`,
    });
  }
  for (const hidden of ['/run/', '/var/run/', '/var/log/']) {
    // The node has folders of its own there, which would hide the state from it.
    if (`${root}/`.startsWith(hidden)) {
      throw new LocalFault('local/bad-state', `the state folder can't lie below ${hidden}: ${root}`, {
        next: 'set BANKSMAN_STATE to a folder elsewhere',
      });
    }
  }
  return {
    name,
    root,
    settings: join(root, 'cluster.json'),
    pki: join(root, 'pki'),
    config: join(root, 'config'),
    run,
    logs: join(root, 'logs'),
    etcd: join(root, 'etcd'),
    containerd: join(root, 'containerd'),
    kubelet: join(root, 'kubelet'),
    nodeLog: join(root, 'node-log'),
    volumes: join(root, 'volumes'),
    registry: join(root, 'registry'),
    kubeconfig: join(root, 'kubeconfig'),
    context: `banksman-${name}`,
    nodeName: `banksman-${name}`,
    netns: `banksman-${name}`,
    netnsFile: `/run/netns/banksman-${name}`,
    cgroup: `/banksman-${name}`,
    registrySocket: join(run, 'registry.sock'),
    controlSocket: join(run, 'control.sock'),
    lock: stateFolder('clusters', `.${name}.lock`),
  };
}
