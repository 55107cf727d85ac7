import type { Connection, Database } from '../src/database/index.ts';
import type { Environment, Label } from '../src/graph/index.ts';
import type { ReleaseContent } from '../src/release/index.ts';

/** What `bench/releases.ts` and its server both know: the services, their releases, and what is counted. */
export interface Started {
  readonly url: string;
  readonly token: string;
}

/** Of the server's process, since its start. */
export interface Figures {
  /** Requests to the API server, by verb and kind. */
  readonly requests: Readonly<Record<string, number>>;
  readonly statements: { readonly count: number; readonly transactions: number };
  /** Milliseconds of processor time. */
  readonly cpu: number;
  /** Bytes, resident. */
  readonly memory: number;
}

export const labelOf = (index: number) => `//bench/service${index}:service${index}` as Label;

export function environmentsOf(names: readonly string[]): ReadonlyMap<string, Environment> {
  const base = { cluster: 'bench', registry: 'registry.local', parameters: {}, place: { file: 'banksman.yaml' } };
  return new Map(names.map((name) => [name, { ...base, name, namespace: name, deadline: 3_600_000 }]));
}

/** A release's id: nothing but its round differs between two of a service. */
export function releaseOf(index: number, round: number, revision: number) {
  const hex = (value: number, length: number) => value.toString(16).padStart(length, '0');
  const id = `sha256:${hex(round, 8)}${hex(revision, 8)}${hex(index, 48)}`;
  return { id, reference: `registry.local/releases/bench@${id}` };
}

export function contentOf(reference: string): ReleaseContent {
  const [, round, revision, index] = /sha256:(.{8})(.{8})(.{48})$/.exec(reference) ?? [];
  const number = (hex: string | undefined) => Number.parseInt(hex ?? '', 16);
  const source = manifests(number(index), number(revision));
  return {
    bundle: { format: 1, service: labelOf(number(index)), containers: [], files: [{ path: 'service.yaml', source }] },
    images: [],
    commit: String(round).repeat(5),
    authors: ['Bob <bob@bank.example>'],
    reviewers: [],
    provenance: [],
  };
}

export function manifests(index: number, revision: number): string {
  const name = `service${index}`;
  return `apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name} }
---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: ${name} }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: 0
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} }, annotations: { revision: "${revision}" } }
    spec:
      serviceAccountName: ${name}
      containers:
        - name: main
          image: registry.local/bench/${name}:1
          ports: [{ containerPort: 8080 }]
          readinessProbe: { httpGet: { path: /ready, port: 8080 } }
          resources: { requests: { cpu: 10m, memory: 32Mi }, limits: { memory: 64Mi } }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name} }
spec:
  rules:
    - host: ${name}.bench.example
      http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: ${name}, port: { number: 80 } } } }] }
`;
}

/** A database whose statements are counted, those included that begin and end a transaction. */
export function counted(database: Database, statements: { count: number; transactions: number }): Database {
  const over = <Over extends Connection>(connection: Over) => ({
    ...connection,
    query: (statement: string, values?: Parameters<Connection['query']>[1]) => {
      statements.count++;
      return connection.query(statement, values) as never;
    },
    run(statement: string) {
      statements.count++;
      return connection.run(statement);
    },
  });
  return {
    ...over(database),
    transaction(body, lock) {
      statements.transactions++;
      statements.count += lock === undefined ? 2 : 3;
      return database.transaction((connection) => body(over(connection)), lock);
    },
  };
}
