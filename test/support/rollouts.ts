import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../../src/database/index.ts';
import type { Environment, Label } from '../../src/graph/index.ts';
import { type Clusters, packRelease, type ReleaseContent } from '../../src/release/index.ts';
import { type RunningServer, startServer } from '../../src/server/index.ts';

/** What the API says of a rollout. */
export interface RolloutAnswer {
  readonly id: string;
  readonly state: string;
  readonly why?: string;
  readonly kind: string;
  readonly by: string;
  readonly release: { readonly id: string; readonly order: number };
  readonly steps: readonly { readonly state: string; readonly at: string; readonly why?: string }[];
  readonly notes?: readonly { readonly text: string }[];
}

export interface PlacementAnswer {
  readonly live?: RolloutAnswer;
  readonly rollouts: readonly RolloutAnswer[];
  readonly holds: readonly {
    readonly id: string;
    readonly by: string;
    readonly upTo?: number;
    readonly ended?: object;
  }[];
}

/** The API of a running server, as an administrator calls it. */
export interface Caller {
  readonly server: RunningServer;
  call(method: string, path: string, body?: object, key?: string): Promise<{ status: number; json: unknown }>;
  /** Makes a release of manifests known, and gives its id. */
  release(service: Label, manifests: string, commit?: string): Promise<string>;
  promote(service: Label, environment: string, release: string, more?: object): Promise<RolloutAnswer>;
  placement(service: Label, environment: string): Promise<PlacementAnswer>;
  /** Waits until a rollout is in one of some states, and gives it. */
  until(service: Label, environment: string, id: string, ...states: readonly string[]): Promise<RolloutAnswer>;
  /** Waits until a release serves, and gives its rollout. */
  untilLive(service: Label, environment: string, release: string): Promise<RolloutAnswer>;
}

/** Releases by their reference, in place of a registry. */
export type Releases = Map<string, ReleaseContent>;

/** A server over a database and clusters, with a token for a person who may do everything. */
export async function startCaller(options: {
  readonly database: Database;
  readonly environments: readonly Environment[];
  readonly clusters: Clusters;
  readonly releases: Releases;
  readonly leaseTime?: number;
}): Promise<Caller> {
  const { database, environments, clusters, releases, leaseTime = 2_000 } = options;
  const server = await startServer({
    database,
    environments: new Map(environments.map((environment) => [environment.name, environment])),
    clusters,
    fetchRelease: async (reference) => releases.get(reference) ?? Promise.reject(new Error(`no release ${reference}`)),
    version: '1',
    host: '127.0.0.1',
    port: 0,
    leaseTime,
  });
  const asked = {
    name: 'ada@bank.example',
    roles: ['administrator', 'release-manager'] as const,
    services: [],
    expiresAt: Date.now() + 3_600_000,
  };
  const { token } = await server.tokens.create(asked, { who: 'test', source: 'test' }, Date.now());
  return { server, ...callsOf(server.url, token, releases) };
}

export function callsOf(url: string, token: string, releases: Releases): Omit<Caller, 'server'> {
  const call: Caller['call'] = async (method, path, body, key) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(key !== undefined && { 'idempotency-key': key }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, json: await answer.json() };
  };
  const good = async <Answer>(answer: ReturnType<Caller['call']>) => {
    const { status, json } = await answer;
    if (status >= 300) throw new Error(JSON.stringify(json));
    return json as Answer;
  };
  const at = (service: Label, environment: string) =>
    `/v1/environments/${environment}/services/${encodeURIComponent(service)}`;
  const placement: Caller['placement'] = (service, environment) => good(call('GET', at(service, environment)));
  return {
    call,
    placement,
    async release(service, manifests, commit = 'c'.repeat(40)) {
      const content: ReleaseContent = {
        bundle: { format: 1, service, containers: [], files: [{ path: 'service.yaml', source: manifests }] },
        images: [],
        commit,
        authors: ['Bob <bob@bank.example>'],
        reviewers: [],
        provenance: [],
      };
      const reference = `registry.local/releases/x@${packRelease(content).digest}`;
      releases.set(reference, content);
      const known = call('POST', `/v1/services/${encodeURIComponent(service)}/releases`, { reference });
      return (await good<{ id: string }>(known)).id;
    },
    promote: (service, environment, release, more = {}) =>
      good(call('POST', `${at(service, environment)}/promotions`, { release, ...more })),
    async untilLive(service, environment, release) {
      const deadline = Date.now() + 90_000;
      for (;;) {
        const { live } = await placement(service, environment);
        if (live?.release.id === release && live.state === 'healthy') return live;
        if (Date.now() > deadline) throw new Error(`${release} does not serve: ${JSON.stringify(live)}`);
        await sleep(100);
      }
    },
    async until(service, environment, id, ...states) {
      const deadline = Date.now() + 120_000;
      for (;;) {
        const { rollouts } = await placement(service, environment);
        const rollout = rollouts.find((each) => each.id === id);
        if (rollout !== undefined && states.includes(rollout.state)) return rollout;
        if (Date.now() > deadline) throw new Error(`${id} is not ${states.join(' or ')}: ${JSON.stringify(rollout)}`);
        await sleep(100);
      }
    },
  };
}

/** A Deployment that the played kubelet gives the fate that its image names, and a ConfigMap. */
export function deployment(name: string, image: string, more = ''): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: 1
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      containers:
        - name: main
          image: ${image}
          readinessProbe: { httpGet: { path: /, port: 8080 } }
${more}`;
}

export function configMap(name: string, value = 'x'): string {
  return `---
apiVersion: v1
kind: ConfigMap
metadata: { name: ${name} }
data: { value: ${JSON.stringify(value)} }
`;
}
