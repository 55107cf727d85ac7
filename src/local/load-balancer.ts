import { createServer } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Api, KubeObject } from './api.ts';
import { keyOf } from './api.ts';
import type { Forward } from './components/portal.ts';

/** Which port of the host leads to which port of a Service. */
export interface Assignment {
  /** `namespace/name`. */
  readonly service: string;
  readonly port: number;
  readonly hostPort: number;
  /** Inside of the cluster. */
  readonly clusterAddress: string;
  /** The annotation asks for just this one. */
  readonly fixed: boolean;
  /** It speaks HTTPS, as the port's name or appProtocol says. */
  readonly https?: boolean;
}

export const portAnnotation = 'banksman.local/port';

interface ServicePortSpec {
  readonly name?: string;
  readonly port: number;
  readonly protocol?: string;
  readonly appProtocol?: string;
}

/** A Service of type LoadBalancer as far as it concerns the host. */
export interface Balanced {
  readonly service: string;
  readonly clusterAddress: string;
  /** TCP ports, each with the host's port that is asked for: `fixed` where by the annotation. */
  readonly ports: readonly {
    readonly port: number;
    readonly wanted: number;
    readonly fixed: boolean;
    readonly https: boolean;
  }[];
}

/** @returns undefined for a Service of another type, or one that waits for its address */
export function readBalanced(object: KubeObject): Balanced | undefined {
  const spec = object.spec ?? {};
  if (spec.type !== 'LoadBalancer' || spec.loadBalancerClass !== undefined) return undefined;
  if (object.metadata.deletionTimestamp !== undefined) return undefined;
  const clusterAddress = spec.clusterIP;
  if (typeof clusterAddress !== 'string' || !/^\d+(\.\d+){3}$/.test(clusterAddress)) return undefined;
  const list = (Array.isArray(spec.ports) ? spec.ports : []) as ServicePortSpec[];
  const asked = parseAnnotation(object.metadata.annotations?.[portAnnotation]);
  const ports = list
    .filter(({ protocol }) => protocol === undefined || protocol === 'TCP')
    .map(({ name, port, appProtocol }, index) => {
      const fixed = asked.byName.get(name ?? '') ?? (index === 0 ? asked.single : undefined);
      const https = (appProtocol ?? name) === 'https';
      return { port, wanted: fixed ?? port, fixed: fixed !== undefined, https };
    });
  return ports.length === 0 ? undefined : { service: keyOf(object), clusterAddress, ports };
}

/** `8080` for the first port, or `http=8080,metrics=9090` by the ports' names. What isn't a port is passed over. */
export function parseAnnotation(text: string | undefined): { single: number | undefined; byName: Map<string, number> } {
  let single: number | undefined;
  const byName = new Map<string, number>();
  for (const part of (text ?? '').split(',')) {
    const match = /^\s*(?:([a-z0-9-]+)\s*=\s*)?(\d{1,5})\s*$/.exec(part);
    const port = Number(match?.[2]);
    if (!match || port < 1 || port > 65535) continue;
    if (match[1] === undefined) single ??= port;
    else byName.set(match[1], port);
  }
  return { single, byName };
}

/**
 * Gives each Service port a port of the host. What was given before stays, so that an address that somebody noted
 * goes on working; what the annotation asks for comes first.
 *
 * @param isFree whether the host has nobody listening at a port
 */
export async function assignPorts(
  services: readonly Balanced[],
  before: readonly Assignment[],
  isFree: (port: number) => Promise<boolean>,
): Promise<Assignment[]> {
  const wanted = services.flatMap(({ service, clusterAddress, ports }) =>
    ports.map((one) => ({ service, clusterAddress, ...one })),
  );
  wanted.sort((a, b) => compare(a.service, b.service) || a.port - b.port);
  const taken = new Set<number>();
  const given = new Map<string, Assignment>();
  const give = (one: (typeof wanted)[number], hostPort: number) => {
    taken.add(hostPort);
    const { service, port, clusterAddress, fixed, https } = one;
    given.set(`${service}:${port}`, { service, port, hostPort, clusterAddress, fixed, ...(https && { https }) });
  };
  // Fixed ones first. Where two ask for the same, the first by name has it, and the other is treated as if it had not asked.
  for (const one of wanted) if (one.fixed && !taken.has(one.wanted)) give(one, one.wanted);
  const rest = () => wanted.filter((one) => !given.has(`${one.service}:${one.port}`));
  for (const one of rest()) {
    const earlier = before.find(({ service, port, fixed }) => service === one.service && port === one.port && !fixed);
    if (earlier && !taken.has(earlier.hostPort)) give(one, earlier.hostPort);
  }
  for (const one of rest()) {
    const start = one.fixed ? one.port : one.wanted;
    for (let port = start; port <= 65535; port++) {
      if (taken.has(port) || !(await isFree(port))) continue;
      give(one, port);
      break;
    }
  }
  return [...given.values()].sort((a, b) => compare(a.service, b.service) || a.port - b.port);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether a server can listen at the host's 127.0.0.1 now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

export function forwardOf({ service, port, hostPort, clusterAddress }: Assignment): Forward {
  return {
    name: `${service}:${port}`,
    listen: { side: 'host', network: 'tcp', address: `127.0.0.1:${hostPort}` },
    dial: { side: 'node', network: 'tcp', address: `${clusterAddress}:${port}` },
  };
}

/** Tells the Service where it is reached, as a cloud's load balancer does. */
export async function writeIngress(api: Api, object: KubeObject, assignments: readonly Assignment[]): Promise<void> {
  const ports = assignments
    .filter(({ service }) => service === keyOf(object))
    .map(({ hostPort }) => ({ port: hostPort, protocol: 'TCP' }));
  // `Proxy`: the address is the host's. By default kube-proxy would take it for the Service's own inside of the node.
  const loadBalancer = ports.length === 0 ? {} : { ingress: [{ ip: '127.0.0.1', ipMode: 'Proxy', ports }] };
  if (isDeepStrictEqual(object.status?.loadBalancer ?? {}, loadBalancer)) return;
  const { namespace, name } = object.metadata;
  await api.merge(`/api/v1/namespaces/${namespace}/services/${name}/status`, {
    status: { loadBalancer: ports.length === 0 ? { ingress: null } : loadBalancer },
  });
}
