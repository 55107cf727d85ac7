import { inSpan, toldOf } from '../trace/index.ts';
import type { ApiRequest, Cluster } from './types.ts';

/** What a request to an API server took, with its repetitions. */
export interface MeasuredRequest {
  readonly method: string;
  /** `ok`, or the code of the error. */
  readonly result: string;
  readonly seconds: number;
}

const listeners = new Set<(request: MeasuredRequest) => void>();

/** Calls the listener after each request of this process to any cluster. It must not throw. @returns how to end that */
export function onRequest(listener: (request: MeasuredRequest) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The same connection, each of whose requests is a span. What is asked for beside the path is left out. */
export function traced(cluster: Cluster): Cluster {
  const asSpan = <Result>(request: ApiRequest, body: () => Promise<Result>, how: string = ''): Promise<Result> => {
    const { method = 'GET', path } = request;
    const attributes = {
      'http.request.method': method,
      'url.path': path,
      'server.address': new URL(cluster.server).hostname,
    };
    const began = performance.now();
    const measure = (result: string) => {
      for (const listener of listeners) listener({ method, result, seconds: (performance.now() - began) / 1000 });
    };
    const doing = inSpan(`kubernetes ${how}${method}`, { kind: 'client', attributes }, body);
    doing.then(
      () => measure('ok'),
      (error: unknown) => measure(toldOf(error)[0]),
    );
    return doing;
  };
  return {
    ...cluster,
    request: (request) => asSpan(request, () => cluster.request(request)),
    answer: (request) => asSpan(request, () => cluster.answer(request)),
    stream: (request) => asSpan(request, () => cluster.stream(request), 'stream '),
  };
}
