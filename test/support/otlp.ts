import { createServer, type ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { loadSync } from '@grpc/proto-loader';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentId: string;
  readonly name: string;
  /** OTLP's numbers: 1 internal, 2 server, 3 client, 4 producer. */
  readonly kind: number;
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly error: string | undefined;
  readonly resource: Readonly<Record<string, unknown>>;
}

export interface OtlpReceiver {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Requests, the ones that were not answered too. */
  readonly requests: number;
  /** Everything that came, as it came. */
  text(): string;
  /** Instead of taking spans. Undefined takes them again. */
  behave(answer: ((response: ServerResponse) => void) | undefined): void;
  stop(): void;
}

interface Value {
  readonly value?: string;
  readonly [form: string]: unknown;
}
interface Attribute {
  readonly key: string;
  readonly value: Value;
}
interface Request {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly {
        readonly traceId: Buffer;
        readonly spanId: Buffer;
        readonly parentSpanId: Buffer;
        readonly name: string;
        readonly kind: number;
        readonly startTimeUnixNano: string;
        readonly endTimeUnixNano: string;
        readonly attributes: readonly Attribute[];
        readonly status: { readonly code: number; readonly message: string } | null;
      }[];
    }[];
  }[];
}

const definition = loadSync(fileURLToPath(new URL('otlp.proto', import.meta.url)), {
  defaults: true,
  longs: String,
  oneofs: true,
});
const decode = (definition['otlp.TraceService'] as unknown as { Export: { requestDeserialize(body: Buffer): Request } })
  .Export.requestDeserialize;

/** A receiver of OTLP over HTTP with protobuf, on this machine. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const bodies: Buffer[] = [];
  let requests = 0;
  let behaviour: ((response: ServerResponse) => void) | undefined;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      requests++;
      if (behaviour !== undefined) return behaviour(response);
      const isPlace = request.url === '/v1/traces' && request.headers['content-type'] === 'application/x-protobuf';
      if (!isPlace) return void response.writeHead(400).end();
      const sent = Buffer.concat(parts);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
      bodies.push(body);
      spans.push(...spansOf(decode(body)));
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    spans,
    get requests() {
      return requests;
    },
    text: () => Buffer.concat(bodies).toString('latin1'),
    behave(answer) {
      behaviour = answer;
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function spansOf({ resourceSpans }: Request): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        traceId: span.traceId.toString('hex'),
        spanId: span.spanId.toString('hex'),
        parentId: span.parentSpanId.toString('hex'),
        name: span.name,
        kind: span.kind,
        start: milliseconds(span.startTimeUnixNano),
        end: milliseconds(span.endTimeUnixNano),
        attributes: plain(span.attributes),
        error: span.status?.code === 2 ? span.status.message : undefined,
        resource: plain(resource.attributes),
      })),
    ),
  );
}

function plain(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value[value.value ?? '']]));
}

/** Nanoseconds are too many for a number. */
function milliseconds(nanoseconds: string): number {
  return Number(BigInt(nanoseconds) / 1_000_000n);
}
