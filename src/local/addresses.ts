/**
 * Addresses inside a cluster's network namespace. They are the same in every cluster: no namespace sees another's, nor the
 * host's.
 */
export const addresses = {
  node: '10.200.0.1',
  pods: '10.244.0.0/16',
  services: '10.96.0.0/16',
  /** First of `services`: the Service `default/kubernetes`. */
  kubernetes: '10.96.0.1',
  dns: '10.96.0.10',
  /** What `registry.local` is to pods. */
  registry: '10.96.0.11',
  domain: 'cluster.local',
} as const;

/** TCP ports inside the namespace. */
export const ports = {
  etcd: 2379,
  etcdPeer: 2380,
  apiserver: 6443,
  controllerManager: 10257,
  scheduler: 10259,
  kubelet: 10250,
  kubeletHealth: 10248,
  proxyHealth: 10256,
  /** Leads to the registry's socket on the host. */
  registry: 5000,
} as const;
