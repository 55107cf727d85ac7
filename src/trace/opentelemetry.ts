import {
  type Context,
  context,
  SpanKind as Kind,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { TracePlace } from './context.ts';
import type { TraceSettings } from './settings.ts';
import type { Attributes, Span, SpanKind, Tracer } from './span.ts';

export interface OpenTelemetry {
  readonly tracer: Tracer;
  /** Sends what is left. @returns whether the receiver took it within so many milliseconds */
  stop(patience: number): Promise<boolean>;
}

export interface OpenTelemetryOptions {
  readonly service: string;
  readonly version: string;
  readonly settings: TraceSettings;
  /** Spans that reached their receiver, or did not. */
  readonly onSent?: ((spans: number, arrived: boolean) => void) | undefined;
}

const kinds: Readonly<Record<SpanKind, Kind>> = {
  internal: Kind.INTERNAL,
  server: Kind.SERVER,
  client: Kind.CLIENT,
  producer: Kind.PRODUCER,
};

/** Records spans and sends them in batches from memory: what a receiver does not take is dropped, and nobody waits for it. */
export function openTelemetry({ service, version, settings, onSent = () => {} }: OpenTelemetryOptions): OpenTelemetry {
  const ids = new RandomIdGenerator();
  let given: string | undefined;
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': service, 'service.version': version }))
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word.
    .merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] }));
  const provider = new TracerProvider({
    resource,
    sampler: samplerOf(settings),
    spanLimits: { attributeValueLengthLimit: 1024 },
    idGenerator: { generateTraceId: () => ids.generateTraceId(), generateSpanId: () => given ?? ids.generateSpanId() },
    spanProcessors: [
      new BatchSpanProcessor({ exporter: counted(new OTLPTraceExporter(), onSent), ...settings.batches }),
    ],
  });
  const spans = provider.getTracer('banksman', version);
  const tracer: Tracer = {
    start(name, { kind = 'internal', attributes = {}, parent, start, id }) {
      given = id;
      try {
        const options = {
          kind: kinds[kind],
          attributes: known(attributes),
          ...(start !== undefined && { startTime: exact(start) }),
        };
        return over(spans.startSpan(name, options, below(parent)));
      } finally {
        given = undefined;
      }
    },
  };
  return {
    tracer,
    async stop(patience) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<boolean>((resolve) => {
        timer = setTimeout(resolve, patience, false);
      });
      const done = provider.shutdown().then(
        () => true,
        () => true,
      );
      const inTime = await Promise.race([done, late]);
      clearTimeout(timer);
      return inTime;
    },
  };
}

function below(parent: TracePlace | undefined): Context {
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, sampled } = parent;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function over(span: import('@opentelemetry/api').Span): Span {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    place: { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 },
    rename: (name) => void span.updateName(name),
    set: (attributes) => void span.setAttributes(known(attributes)),
    fail: (type, message) =>
      void span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR, message }),
    end: (at) => span.end(at === undefined ? undefined : exact(at)),
  };
}

/** Seconds and nanoseconds: a small number alone would be taken for one of `performance.now`. */
function exact(milliseconds: number): [number, number] {
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}

function known(attributes: Attributes): Record<string, string | number | boolean> {
  const entries = Object.entries(attributes).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as Record<string, string | number | boolean>;
}

function samplerOf({ sampler: { ratio, parentBased } }: TraceSettings) {
  const root =
    ratio === 1 ? new AlwaysOnSampler() : ratio === 0 ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(ratio);
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

/** The exporter's own requests belong to no trace: their errors are counted, not told. */
function counted(exporter: SpanExporter, onSent: (spans: number, arrived: boolean) => void): SpanExporter {
  return {
    export(spans, done) {
      context.with(ROOT_CONTEXT, () =>
        exporter.export(spans, (result) => {
          onSent(spans.length, result.code === 0);
          done(result);
        }),
      );
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  };
}
