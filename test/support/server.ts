import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { calls } from '../../src/server/calls/index.ts';
import { type Role, type RunningServer, roles, type ServerOptions, startServer } from '../../src/server/index.ts';
import { openApiDocument } from '../../src/server/openapi.ts';

export interface Answer {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a test looks into
  readonly json: any;
}

/** A server with a token for each role, whose every answer is held against its own OpenAPI document. */
export interface TestServer extends RunningServer {
  readonly tokenOf: Readonly<Record<Role, string>>;
  call(role: Role | undefined, method: string, path: string, body?: object, headers?: object): Promise<Answer>;
}

/** @param services labels that the engineer is an engineer of */
export async function startTestServer(options: ServerOptions, services: readonly string[]): Promise<TestServer> {
  const server = await startServer(options);
  const { now = Date.now } = options;
  const tokens = {} as Record<Role, string>;
  for (const role of roles) {
    const asked = { name: `${role}@bank.example`, roles: [role], services, expiresAt: now() + 86_400_000 };
    tokens[role] = (await server.tokens.create(asked, { who: 'test', source: 'test' }, now())).token;
  }
  const check = answerCheck();
  return {
    ...server,
    tokenOf: tokens,
    async call(role, method, path, body, headers = {}) {
      const answer = await fetch(`${server.url}${path}`, {
        method,
        headers: {
          ...(role !== undefined && { authorization: `Bearer ${tokens[role]}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const type = answer.headers.get('content-type');
      const json: unknown = type?.includes('json') ? JSON.parse(text) : undefined;
      check(method, path.replace(/\?.*/, ''), answer.status, json);
      return { status: answer.status, type, text, json };
    },
  };
}

/** Holds answers against the document that the server gives of itself. */
function answerCheck(): (method: string, path: string, status: number, json: unknown) => void {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(openApiDocument('test'), 'document');
  const of = (name: string) => ajv.getSchema(`document#/components/schemas/${name}`) as ValidateFunction;
  return (method, path, status, json) => {
    const call = calls.find(
      (each) => each.method === method && new RegExp(`^${each.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(path),
    );
    if (call === undefined || json === undefined) return;
    const name = status < 400 ? call.gives : 'problem';
    const validate = of(name);
    if (validate(json)) return;
    throw new Error(`${method} ${path} answers ${status} not as ${name} says: ${ajv.errorsText(validate.errors)}`);
  };
}
