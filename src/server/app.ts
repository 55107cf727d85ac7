import { randomUUID } from 'node:crypto';
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify';
import { isFault } from '../fault/index.ts';
import type { Label } from '../graph/index.ts';
import { findListed, usualKind } from '../release/index.ts';
import { within } from '../trace/index.ts';
import { type Action, type Person, requireRight, rights, type Subject } from './authorization.ts';
import type { Call, Context, Request } from './call.ts';
import { calls } from './calls/index.ts';
import { streamEvents } from './events.ts';
import { ServerFault } from './fault.ts';
import { errorView, requestView } from './logging.ts';
import type { Metrics } from './metrics/index.ts';
import { openApiDocument } from './openapi.ts';
import { problemOf } from './problem.ts';
import { type RequestTraces, traceRequests } from './request-trace.ts';
import { schemas } from './schemas.ts';
import { whoCalls } from './sign-in.ts';
import { createTail, newestEntry } from './tail.ts';
import type { TlsTexts } from './tls.ts';

export interface AppOptions {
  readonly context: Context;
  readonly metrics: Metrics;
  readonly version: string;
  /** One JSON object a line; nothing is written where it is absent. */
  readonly log?: NodeJS.WritableStream | undefined;
  /** Speaks TLS itself; whoever calls it sees to it where this is absent. */
  readonly tls?: TlsTexts | undefined;
}

/** Bytes of a call's body: all that is taken are names and reasons. */
const maximumBody = 64 * 1024;
/** Streams that one server keeps open: each is a connection, and a place in memory for what its reader has not read. */
const maximumStreams = 500;
const keyForm = /^[A-Za-z0-9._-]{8,100}$/;

/** The HTTP API. Whoever calls it listens and closes it. */
export function createApp({ context, metrics, version, log, tls }: AppOptions): FastifyInstance {
  const traces = traceRequests();
  const app = fastify({
    bodyLimit: maximumBody,
    requestTimeout: 30_000,
    // Unlike a number, it is found in the logs of several servers.
    genReqId: () => randomUUID(),
    childLoggerFactory: (logger, bindings, options, raw) => {
      const place = traces.begin(raw);
      return logger.child({ ...bindings, ...(place !== undefined && { traceId: place.traceId }) }, options);
    },
    // Names of fields that are not known are errors, not silently left out; nothing is turned into another type.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
    logger: log === undefined ? false : { stream: log, serializers: { err: errorView, req: requestView } },
    routerOptions: { maxParamLength: 1000 },
    ...(tls && { https: { ...tls, minVersion: 'TLSv1.2' } }),
  } as FastifyServerOptions);
  const closing = new AbortController();
  const tail = createTail(context.database, (error) => app.log.error({ err: error }, 'reading what is new'));
  const stopListening = context.store.onChange(() => tail.poke());
  let streams = 0;
  app.addHook('preClose', async () => {
    closing.abort();
    stopListening();
    tail.stop();
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.count('banksman_http_requests_total', [route, request.method, reply.statusCode]);
    metrics.observe('banksman_http_request_duration_seconds', reply.elapsedTime / 1000, [route, request.method]);
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    // Also where the caller goes away before its answer.
    reply.raw.once('close', () => traces.end(request.raw, reply.raw, request.routeOptions.url ?? 'none'));
  });
  app.addHook('onSend', async (_, reply) => {
    reply.header('x-content-type-options', 'nosniff');
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error);
    if (problem.status >= 500) request.log.error({ err: error, code: isFault(error) ? error.code : undefined });
    // The database is tried again at each call; whoever names the call by a key may ask again.
    if (problem.status === 503) reply.header('retry-after', '5');
    if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="banksman"');
    return reply.code(problem.status).type('application/problem+json').send(problem);
  });
  app.setNotFoundHandler((_, reply) => {
    const problem = {
      type: 'urn:banksman:server/unknown-path',
      title: 'Unknown path',
      status: 404,
      detail: 'see /openapi.json',
    };
    return reply.code(404).type('application/problem+json').send(problem);
  });

  // Asked every few seconds: only what is wrong with them is worth a line.
  const quiet = { logLevel: 'warn' } as const;
  app.get('/healthz', quiet, async () => ({ status: 'alive' }));
  app.get('/readyz', quiet, async () => {
    await context.database.query('SELECT 1');
    return { status: 'ready' };
  });
  app.get('/openapi.json', async () => openApiDocument(version));
  app.get('/metrics', async (request, reply) => {
    await allow(context, request, 'metrics.read');
    return reply.type('text/plain; version=0.0.4').send(await metrics.text());
  });
  app.get('/v1/events', async (request, reply) => {
    await allow(context, request, 'event.read');
    const last = request.headers['last-event-id'];
    const after =
      typeof last === 'string' && /^[0-9]{1,15}$/.test(last) ? Number(last) : await newestEntry(context.database);
    if (streams >= maximumStreams) {
      throw new ServerFault('server/too-many-streams', `${maximumStreams} streams are open`, {
        next: 'come again later, with Last-Event-ID',
      });
    }
    const gone = new AbortController();
    request.raw.on('close', () => gone.abort());
    reply.hijack();
    metrics.set('banksman_event_streams', ++streams);
    // It may last for days: what is traced is that it was begun.
    traces.end(request.raw, reply.raw, '/v1/events');
    const signal = AbortSignal.any([closing.signal, gone.signal]);
    const mayStay = () =>
      allow(context, request, 'event.read').then(
        () => true,
        // Where the database is away, what was found holds.
        (error: unknown) => !(error instanceof ServerFault),
      );
    await streamEvents({ database: context.database, tail, response: reply.raw, after, mayStay, signal })
      .catch((error: unknown) => {
        request.log.error({ err: error });
        reply.raw.destroy();
      })
      .finally(() => {
        metrics.set('banksman_event_streams', --streams);
      });
  });
  for (const call of calls) addCall(app, context, traces, call);
  return app;
}

function addCall(app: FastifyInstance, context: Context, traces: RequestTraces, call: Call): void {
  app.route({
    method: call.method,
    url: call.path.replace(/\{(\w+)\}/g, ':$1'),
    ...(call.takes !== undefined && { schema: { body: schemas[call.takes] } }),
    handler: (request: FastifyRequest, reply: FastifyReply) =>
      within(traces.placeOf(request.raw), async () => {
        const parameters = request.params as Readonly<Record<string, string>>;
        const body = (request.body ?? {}) as Readonly<Record<string, unknown>>;
        const { service } = parameters;
        const person = await allow(context, request, call.action, service);
        // To pass by the gates is a right of its own.
        if (body.emergency !== undefined) await allow(context, request, 'rollout.emergency', service);
        const asked: Request = {
          person,
          source: request.ip,
          parameters,
          query: queryOf(request, call),
          body,
          key: keyOf(request),
          signal: AbortSignal.timeout(30_000),
        };
        const answer = await call.answer(context, asked);
        return reply.code(call.status ?? 200).send(answer);
      }),
  });
}

/**
 * Who calls, if they may.
 *
 * @throws ServerFault server/not-signed-in, server/not-allowed
 */
async function allow(context: Context, request: FastifyRequest, action: Action, service?: string): Promise<Person> {
  const token = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const person = token === undefined ? undefined : await whoCalls(context.signIns, token, context.now());
  if (person === undefined) {
    throw new ServerFault(
      'server/not-signed-in',
      token === undefined ? 'this call needs a token' : 'this token is not valid',
      {
        next: 'send Authorization: Bearer TOKEN; an administrator makes tokens',
      },
    );
  }
  requireRight(person, action, service === undefined ? undefined : await subjectOf(context, action, service));
  return person;
}

/** What kind a service is, as its newest release says; by its package where it has none. */
async function subjectOf({ database }: Context, action: Action, service: string): Promise<Subject> {
  const depends = Object.values(rights[action]).some((right) => right === 'own' || right === 'infrastructure');
  const known = depends ? await findListed(database, service as Label) : undefined;
  return { service, kind: known?.kind ?? usualKind(service as Label) };
}

function queryOf(request: FastifyRequest, call: Call): Record<string, string | undefined> {
  const query = request.query as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(query)) {
    if (call.query?.includes(name) && typeof value === 'string') continue;
    throw new ServerFault('server/bad-request', `the parameter ${name} is not known here, or stands twice`);
  }
  return query as Record<string, string | undefined>;
}

function keyOf(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined || (typeof key === 'string' && keyForm.test(key))) return key as string | undefined;
  throw new ServerFault('server/bad-request', 'Idempotency-Key is 8 to 100 letters, digits and . _ -');
}
