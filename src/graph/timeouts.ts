/** How long actions and tests may run where their rules don't say, in seconds. */
export interface Timeouts {
  readonly build: number;
  readonly test: number;
  /** By the name of a size, or its other name. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** As long as anybody waits: a day. */
const endless = 24 * 3600;

/** Those of Please. `enormous` has no end there. */
export const defaultTimeouts: Timeouts = Object.freeze({
  build: 600,
  test: 600,
  sizes: Object.freeze({
    small: 60,
    short: 60,
    medium: 300,
    moderate: 300,
    large: 900,
    long: 900,
    enormous: endless,
    eternal: endless,
  }),
});

/** Seconds of a text such as `90s`, `5m`, `1h30m`; undefined where it is none. */
export function secondsOfText(text: string): number | undefined {
  const match = /^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?$/.exec(text);
  if (match === null || text === '') return undefined;
  const [hours, minutes, seconds] = [match[1], match[2], match[3]].map((part) => Number(part ?? 0));
  return hours! * 3600 + minutes! * 60 + seconds!;
}
