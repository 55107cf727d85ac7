import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseTraceparent, type Span, startSpan, type TracePlace } from '../trace/index.ts';

/** Asked every few seconds by machines: no span each. */
const quiet = /^\/(?:healthz|readyz|metrics)(?:\?|$)/;

interface Known {
  readonly span: Span | undefined;
  readonly place: TracePlace | undefined;
}

/** What is known of a request's trace: spans of calls, each below the `traceparent` that came with it. */
export interface RequestTraces {
  /** Once for each request, before anything else is done for it. @returns where in a trace it is; undefined where in none */
  begin(request: IncomingMessage): TracePlace | undefined;
  placeOf(request: IncomingMessage): TracePlace | undefined;
  /** @param route as the API writes it: few, whatever is asked for @param error what went wrong inside */
  end(request: IncomingMessage, response: ServerResponse, route: string): void;
}

export function traceRequests(): RequestTraces {
  const known = new WeakMap<IncomingMessage, Known>();
  return {
    begin(request) {
      const parent = parseTraceparent(request.headers.traceparent);
      const method = request.method ?? 'GET';
      const attributes = { 'http.request.method': method };
      const span = quiet.test(request.url ?? '')
        ? undefined
        : startSpan(method, { kind: 'server', parent, attributes });
      const place = span?.place ?? parent;
      known.set(request, { span, place });
      return place;
    },
    placeOf: (request) => known.get(request)?.place,
    end(request, response, route) {
      const { span } = known.get(request) ?? {};
      if (span === undefined) return;
      known.set(request, { span: undefined, place: span.place });
      const status = response.statusCode;
      span.rename(`${request.method} ${route}`);
      span.set({ 'http.route': route, 'http.response.status_code': status });
      if (status >= 500) span.fail(String(status), `answered ${status}`);
      span.end();
    },
  };
}
