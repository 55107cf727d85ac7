import type { RunningDatabase } from '../../../test/support/databases.ts';
import type { Environment, Label } from '../../graph/index.ts';
import type { CheckProvenance, ReleaseContent } from '../../release/index.ts';
import { type Role, roles } from '../authorization.ts';
import { parseSealKeys } from '../sealing.ts';
import { type RunningServer, type ServerOptions, startServer } from '../start.ts';

export const service = '//bank/ledger:ledger' as Label;
export const digest = (index: number) => `sha256:${String(index).repeat(64)}`;
export const commit = (index: number) => String(index).repeat(40);

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Record<string, unknown>;
  readonly text: string;
}

export interface TestServer {
  readonly server: RunningServer;
  readonly tokens: Readonly<Record<Role, string>>;
  /** Moves the server's clock on. */
  wait(milliseconds: number): void;
  now(): number;
  call(role: Role | string, method: string, path: string, body?: object, headers?: object): Promise<Answer>;
  /** Makes release 1, 2, ... of the service known, each at a commit of its own. */
  add(index: number): Promise<Answer>;
}

/** What test servers seal with, in whichever process. */
export const testKeys = parseSealKeys(`test ${Buffer.alloc(32, 7).toString('base64')}`, 'the test');

/** A server with a clock of its own, and a token for each role. */
export async function startTestServer(
  running: RunningDatabase,
  environments: ReadonlyMap<string, Environment>,
  more: Partial<ServerOptions> & { readonly checkProvenance?: CheckProvenance } = {},
): Promise<TestServer> {
  let now = Date.parse('2026-01-01T00:00:00Z');
  const server = await startServer({
    database: running.database,
    environments,
    fetchRelease: async (reference) => contentOf(Number(reference.at(-1))),
    version: '1',
    host: '127.0.0.1',
    port: 0,
    leaseTime: 500,
    secretKeys: testKeys,
    now: () => now,
    ...more,
  });
  const tokens = {} as Record<Role, string>;
  for (const role of roles) {
    const asked = {
      name: `${role}@bank.example`,
      roles: [role],
      services: [service],
      expiresAt: now + 300 * 86_400_000,
    };
    tokens[role] = (await server.tokens.create(asked, { who: 'test', source: 'test' }, now)).token;
  }
  const call: TestServer['call'] = async (role, method, path, body, headers = {}) => {
    const token = tokens[role as Role] ?? role;
    const answer = await fetch(`${server.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(headers as Record<string, string>),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.includes('json') === true;
    return {
      status: answer.status,
      headers: answer.headers,
      json: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
      text,
    };
  };
  return {
    server,
    tokens,
    wait(milliseconds) {
      now += milliseconds;
    },
    now: () => now,
    call,
    add: (index) =>
      call('engineer', 'POST', `/v1/services/${encodeURIComponent(service)}/releases`, {
        reference: `r/releases/bank/ledger@${digest(index)}`,
      }),
  };
}

function contentOf(index: number): ReleaseContent {
  return {
    bundle: { format: 1, service, containers: [], files: [] },
    images: [],
    commit: commit(index),
    authors: ['Ada <ada@bank.example>'],
    reviewers: [],
    provenance: [],
  };
}
