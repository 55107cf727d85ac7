import type { GateAnswer, Time } from '../model/index.ts';
import { told } from './length.ts';
import type { MetricSample } from './types.ts';

/** Milliseconds after which a sample says nothing of now. */
export const freshness = 120_000;

/** Every series of a query's answer is within the bounds. No answer, an old one, an empty one and NaN are not. */
export function metricWithin(
  gate: string,
  { query, atMost, atLeast }: { readonly query: string; readonly atMost?: number; readonly atLeast?: number },
  sample: MetricSample | undefined,
  now: Time,
): GateAnswer {
  const wanted = [
    ...(atMost !== undefined ? [`at most ${atMost}`] : []),
    ...(atLeast !== undefined ? [`at least ${atLeast}`] : []),
  ].join(' and ');
  const opens = `${query} is ${wanted}`;
  const shut = (reason: string): GateAnswer => ({ gate, holds: false, reason, opens });
  if (sample === undefined) return shut('Prometheus has not been asked yet');
  if (now - sample.at > freshness) return shut(`the last answer of Prometheus is ${told(now - sample.at)} old`);
  if ('error' in sample.result) return shut(sample.result.error);
  const { values } = sample.result;
  if (values.length === 0) return shut('the query has no result');
  const outside = values.find(
    ({ value }) =>
      !Number.isFinite(value) || (atMost !== undefined && value > atMost) || (atLeast !== undefined && value < atLeast),
  );
  if (outside !== undefined)
    return shut(`${outside.value}${outside.series && ` for ${outside.series}`}, not ${wanted}`);
  const said = values.length === 1 ? `${values[0]?.value}` : `${values.length} series`;
  return { gate, holds: true, reason: `${said}, ${wanted}`, since: sample.at };
}
