import { AsyncLocalStorage } from 'node:async_hooks';
import { formatTraceparent, type TracePlace } from './context.ts';

export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** Who a span is about: another program that asks us, one that we ask, one that is told, or ourselves. */
export type SpanKind = 'internal' | 'server' | 'client' | 'producer';

export interface SpanOptions {
  readonly kind?: SpanKind | undefined;
  readonly attributes?: Attributes | undefined;
  /** What it belongs to; whatever is under way unless told. */
  readonly parent?: TracePlace | undefined;
  /** Milliseconds since the epoch; now unless told. */
  readonly start?: number | undefined;
  /** 16 hexadecimal digits; a random id unless told. */
  readonly id?: string | undefined;
}

export interface Span {
  /** Where what is done for it belongs. */
  readonly place: TracePlace;
  /** By what is known only later. */
  rename(name: string): void;
  set(attributes: Attributes): void;
  /** It did not do what it should. @param type a code, of few */
  fail(type: string, message: string): void;
  /** @param at milliseconds since the epoch; now unless told */
  end(at?: number): void;
}

/** What records spans. Nothing of it may throw or wait. */
export interface Tracer {
  start(name: string, options: SpanOptions): Span;
}

const places = new AsyncLocalStorage<TracePlace | undefined>();
let tracer: Tracer | undefined;

/** Spans are recorded by this from here on; undefined for none. One for the whole process. */
export function recordSpansWith(next: Tracer | undefined): void {
  tracer = next;
}

/** Whether spans are recorded: for work that is only done for them. */
export function isTracing(): boolean {
  return tracer !== undefined;
}

/** Where in a trace what is under way belongs. */
export function tracePlace(): TracePlace | undefined {
  return places.getStore();
}

/** Header `traceparent` for whoever is asked for something now. */
export function traceparent(): string | undefined {
  const place = tracePlace();
  return place && formatTraceparent(place);
}

/** Does something as part of a trace; of none where the place is undefined: what outlives whoever happened to begin it. */
export function within<Result>(place: TracePlace | undefined, body: () => Result): Result {
  return places.run(place, body);
}

/** Begins a span that somebody ends. @returns undefined where none are recorded */
export function startSpan(name: string, options: SpanOptions = {}): Span | undefined {
  if (tracer === undefined) return undefined;
  return tracer.start(name, { ...options, parent: options.parent ?? tracePlace() });
}

/** Does something as a span, which fails where that throws. Where no spans are recorded it is only done. */
export async function inSpan<Result>(
  name: string,
  options: SpanOptions,
  body: (span: Span | undefined) => Promise<Result>,
): Promise<Result> {
  const span = startSpan(name, options);
  if (span === undefined)
    return await (options.parent ? within(options.parent, () => body(undefined)) : body(undefined));
  try {
    return await within(span.place, () => body(span));
  } catch (error) {
    span.fail(...toldOf(error));
    throw error;
  } finally {
    span.end();
  }
}

/** A fault's code, and its message: the same that people see. Of other errors only their kind, since nobody has read over them. */
export function toldOf(error: unknown): [type: string, message: string] {
  if (!(error instanceof Error)) return ['error', 'something that is no error was thrown'];
  const { code } = error as { readonly code?: unknown };
  if (typeof code === 'string' && /^[a-z]+\/[a-z-]+$/.test(code)) return [code, error.message.slice(0, 500)];
  return [typeof code === 'string' ? code : error.name, error.name];
}
