import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { askPrometheus } from './prometheus.ts';

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const vector = (...values: [Record<string, string>, string][]) =>
  JSON.stringify({
    status: 'success',
    data: { resultType: 'vector', result: values.map(([metric, value]) => ({ metric, value: [1, value] })) },
  });

describe('askPrometheus', () => {
  it('asks for the value at the time, and reads vectors and scalars', async () => {
    let asked = '';
    let authorization: string | undefined;
    const url = await serve((request, response) => {
      authorization = request.headers.authorization;
      request.on('data', (part: Buffer) => (asked += part.toString()));
      request.on('end', () => response.end(vector([{ __name__: 'up', job: 'x' }, '0.5'], [{}, 'NaN'], [{}, '+Inf'])));
    });
    const sample = await askPrometheus({ url: `${url}/`, query: 'rate(x[5m]) > 0', token: 't0' }, 1_700_000_000_500);
    expect(sample).toEqual({
      at: 1_700_000_000_500,
      result: {
        values: [
          { series: 'up{job="x"}', value: 0.5 },
          { series: '', value: Number.NaN },
          { series: '', value: Number.POSITIVE_INFINITY },
        ],
      },
    });
    expect(Object.fromEntries(new URLSearchParams(asked))).toMatchObject({
      query: 'rate(x[5m]) > 0',
      time: '1700000000.500',
    });
    expect(authorization).toBe('Bearer t0');
    const scalar = await serve((_, response) =>
      response.end('{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}'),
    );
    expect((await askPrometheus({ url: scalar, query: '7' }, 0)).result).toEqual({
      values: [{ series: '', value: 7 }],
    });
  });

  it.each<[string, RequestListener, string]>([
    [
      'a bad query',
      (_, r) => r.writeHead(400).end('{"status":"error","errorType":"bad_data","error":"parse error at 1"}'),
      'parse error at 1',
    ],
    ['no JSON', (_, r) => r.writeHead(502).end('<html>'), 'it answers 502 without JSON'],
    ['a range', (_, r) => r.end('{"status":"success","data":{"resultType":"matrix","result":[]}}'), 'gives a matrix'],
    ['a redirect', (_, r) => r.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(), 'redirect'],
    ['silence', () => {}, 'no answer in time'],
    ['megabytes', (_, r) => r.end('x'.repeat(3_000_000)), 'longer than 1048576 bytes'],
  ])('tells %s as the reason', async (_, answer, reason) => {
    const url = await serve(answer);
    const { result } = await askPrometheus({ url, query: 'up', timeout: 300 }, 0);
    expect('error' in result && result.error).toContain(reason);
  });

  it('tells a server that is away', async () => {
    const { result } = await askPrometheus({ url: 'http://127.0.0.1:1', query: 'up' }, 0);
    expect('error' in result && result.error).toMatch(/^Prometheus at 127\.0\.0\.1:1: /);
  });

  it('ends with its signal', async () => {
    const url = await serve(() => {});
    const stop = new AbortController();
    const asking = askPrometheus({ url, query: 'up', signal: stop.signal }, 0);
    stop.abort(new Error('stopped'));
    await expect(asking).rejects.toThrow('stopped');
  });
});
