import type { GateAnswer, Time } from '../model/index.ts';
import { told } from './length.ts';
import type { MetricSample } from './types.ts';

/** Milliseconds after which a sample says nothing of now. */
export const freshness = 120_000;

interface Measure {
  readonly query: string;
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** Every series of a query's answer is within the bounds. No answer, an old one, an empty one and NaN are not. */
export function metricWithin(gate: string, measure: Measure, sample: MetricSample | undefined, now: Time): GateAnswer {
  const { holds, reason, opens } = metricVerdict(measure, sample, now);
  return holds ? { gate, holds, reason, since: sample?.at } : { gate, holds, reason, opens };
}

/** The same, and whether it is known to be outside: other than where nothing is known. */
export function metricVerdict(
  { query, atMost, atLeast }: Measure,
  sample: MetricSample | undefined,
  now: Time,
): { readonly holds: boolean; readonly outside: boolean; readonly reason: string; readonly opens: string } {
  const wanted = [
    ...(atMost !== undefined ? [`at most ${atMost}`] : []),
    ...(atLeast !== undefined ? [`at least ${atLeast}`] : []),
  ].join(' and ');
  const opens = `${query} is ${wanted}`;
  const shut = (reason: string, outside = false) => ({ holds: false, outside, reason, opens });
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
    return shut(
      `${outside.value}${outside.series && ` for ${outside.series}`}, not ${wanted}`,
      !Number.isNaN(outside.value),
    );
  const said = values.length === 1 ? `${values[0]?.value}` : `${values.length} series`;
  return { holds: true, outside: false, reason: `${said}, ${wanted}`, opens };
}
