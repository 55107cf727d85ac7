/** Nanoseconds of each unit of Go's time.ParseDuration, which HEALTHCHECK's durations are written for. */
const units: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** `1m30s` in nanoseconds. @returns undefined where the text is no duration that fits into 2^53 */
export function parseDuration(text: string): number | undefined {
  const [, sign, rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0;
  if (!/^(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined;
  let sum = 0;
  for (const [, number, unit] of rest.matchAll(/([0-9.]+)([a-zµμ]+)/g))
    sum += Number(number) * (units[unit ?? ''] ?? 0);
  const rounded = Math.round(sum);
  if (!Number.isSafeInteger(rounded)) return undefined;
  return sign === '-' ? -rounded : rounded;
}
