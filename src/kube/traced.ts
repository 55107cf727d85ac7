import { inSpan } from '../trace/index.ts';
import type { ApiRequest, Cluster } from './types.ts';

/** The same connection, each of whose requests is a span. What is asked for beside the path is left out. */
export function traced(cluster: Cluster): Cluster {
  const asSpan = <Result>(request: ApiRequest, body: () => Promise<Result>, how: string = ''): Promise<Result> => {
    const { method = 'GET', path } = request;
    const attributes = {
      'http.request.method': method,
      'url.path': path,
      'server.address': new URL(cluster.server).hostname,
    };
    return inSpan(`kubernetes ${how}${method}`, { kind: 'client', attributes }, body);
  };
  return {
    ...cluster,
    request: (request) => asSpan(request, () => cluster.request(request)),
    answer: (request) => asSpan(request, () => cluster.answer(request)),
    stream: (request) => asSpan(request, () => cluster.stream(request), 'stream '),
  };
}
