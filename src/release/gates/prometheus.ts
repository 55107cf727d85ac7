import { ReleaseFault } from '../fault.ts';
import type { MetricSample, MetricValue } from './types.ts';

/** Bytes of an answer: a gate's query has a few series, not thousands. */
const maximumBytes = 1024 * 1024;

export interface PrometheusQuery {
  /** `http://prometheus.monitoring:9090`, with a path before `/api` where there is one. */
  readonly url: string;
  readonly query: string;
  /** Bearer token. */
  readonly token?: string | undefined;
  /** Milliseconds; 10 seconds unless told. */
  readonly timeout?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks Prometheus for the value of a query now (HTTP API, `/api/v1/query`). Whatever goes wrong is part of the sample: a server that
 * is away shuts a gate, with its reason, and stops nothing else.
 *
 * @param now milliseconds since the epoch, the time that the query is evaluated at
 * @throws the signal's reason
 */
export async function askPrometheus(request: PrometheusQuery, now: number): Promise<MetricSample> {
  try {
    return { at: now, result: { values: await ask(request, now) } };
  } catch (error) {
    request.signal?.throwIfAborted();
    return { at: now, result: { error: `Prometheus at ${new URL(request.url).host}: ${reasonOf(error)}` } };
  }
}

async function ask(
  { url, query, token, timeout = 10_000, signal }: PrometheusQuery,
  now: number,
): Promise<MetricValue[]> {
  const limit = AbortSignal.timeout(timeout);
  const response = await fetch(`${url.replace(/\/+$/, '')}/api/v1/query`, {
    method: 'POST',
    body: new URLSearchParams({ query, time: (now / 1000).toFixed(3), timeout: `${Math.ceil(timeout / 1000)}s` }),
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    // A token is for the server that was named, not for where it sends us.
    redirect: 'error',
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
  });
  const text = await read(response);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw bad(`it answers ${response.status} without JSON`);
  }
  if (!isRecord(answer)) throw bad('its answer is no object');
  if (answer.status !== 'success')
    throw bad(typeof answer.error === 'string' ? answer.error : `it answers ${response.status}`);
  return valuesOf(answer.data);
}

function valuesOf(data: unknown): MetricValue[] {
  if (!isRecord(data)) throw bad('its answer has no data');
  const { resultType, result } = data;
  if (resultType === 'scalar') return [{ series: '', value: numberIn(result) }];
  if (resultType !== 'vector' || !Array.isArray(result)) {
    throw bad(`the query gives a ${String(resultType)}, not a vector or a scalar`);
  }
  return result.map((each: unknown) => {
    if (!isRecord(each)) throw bad('a series is no object');
    return { series: seriesOf(each.metric), value: numberIn(each.value) };
  });
}

/** `[1435781451.781, "0.5"]`: values are texts, since JSON has no NaN. */
function numberIn(pair: unknown): number {
  const text: unknown = Array.isArray(pair) ? pair[1] : undefined;
  if (typeof text !== 'string' || text === '') throw bad('a value is not in its form');
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY;
  return text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text);
}

function seriesOf(metric: unknown): string {
  if (!isRecord(metric)) return '';
  const { __name__: name, ...labels } = metric;
  const text = Object.entries(labels)
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join(', ');
  return `${typeof name === 'string' ? name : ''}${text === '' ? '' : `{${text}}`}`;
}

async function read(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > maximumBytes) throw bad(`its answer is longer than ${maximumBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function bad(message: string): ReleaseFault {
  return new ReleaseFault('release/bad-metric', message);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  return cause instanceof Error ? cause.message || error.message : error.message;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
