export { formatTraceparent, parseTraceparent, type TracePlace } from './context.ts';
export { readTraceSettings } from './settings.ts';
export {
  type Attributes,
  inSpan,
  isTracing,
  type Span,
  startSpan,
  toldOf,
  tracePlace,
  traceparent,
  within,
} from './span.ts';
export { sentSpans, startTracing, type Tracing } from './start.ts';
