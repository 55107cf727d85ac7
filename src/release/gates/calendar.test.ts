import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SpanForm } from '../../graph/index.ts';
import { inWindow, outsideFreeze } from './calendar.ts';
import { spanAt } from './span.ts';

const hours = (count: number) => ({ days: 0, milliseconds: count * 3_600_000 });
const span = (more: Partial<SpanForm> & Pick<SpanForm, 'starts' | 'lasts'>): SpanForm => {
  return { zone: 'Europe/London', place: { file: 'banksman.yaml', line: 7 }, ...more };
};
const at = (text: string) => Date.parse(text);
const office = span({ starts: '2026-01-05T09:00:00', lasts: hours(8), rule: 'FREQ=WEEKLY;BYDAY=MO,TU,WE,TH' });
const open = (text: string, ...spans: SpanForm[]) => inWindow('windows', spans, at(text)).holds;

describe('a window', () => {
  it('follows the clock on the wall through summer and winter', () => {
    // GMT in January, BST in July.
    expect(open('2026-01-06T08:59:59Z', office)).toBe(false);
    expect(open('2026-01-06T09:00:00Z', office)).toBe(true);
    expect(open('2026-01-06T16:59:59Z', office)).toBe(true);
    expect(open('2026-01-06T17:00:00Z', office)).toBe(false);
    expect(open('2026-07-07T08:00:00Z', office)).toBe(true);
    expect(open('2026-07-07T16:00:00Z', office)).toBe(false);
    // A Friday.
    expect(open('2026-07-10T10:00:00Z', office)).toBe(false);
  });

  it('says since when it is open, and when the next one is', () => {
    expect(inWindow('w', [office], at('2026-01-06T10:00:00Z'))).toMatchObject({
      since: at('2026-01-06T09:00:00Z'),
      reason: 'open until 2026-01-06 17:00 UTC',
    });
    expect(inWindow('w', [office], at('2026-01-09T10:00:00Z'))).toMatchObject({
      holds: false,
      opensAt: at('2026-01-12T09:00:00Z'),
      opens: 'the window of 2026-01-12 09:00 UTC',
    });
  });

  it('at a time that the clock skips begins as if the clock had not been changed, and at one that comes twice the first time', () => {
    const night = span({ starts: '2026-01-01T01:30:00', lasts: hours(0.25), rule: 'FREQ=DAILY' });
    // 29 March 2026: 01:00 GMT becomes 02:00 BST, 01:30 does not exist.
    expect(spanAt(night, at('2026-03-29T01:35:00Z')).inside?.from).toBe(at('2026-03-29T01:30:00Z'));
    // 25 October 2026: 01:30 BST is 00:30Z, 01:30 GMT is 01:30Z.
    expect(spanAt(night, at('2026-10-25T00:35:00Z')).inside?.from).toBe(at('2026-10-25T00:30:00Z'));
    expect(spanAt(night, at('2026-10-25T01:35:00Z')).inside).toBeUndefined();
  });

  it('lasts calendar days where days are said, and exact hours where hours are', () => {
    const day = span({ starts: '2026-03-28T12:00:00', lasts: { days: 1, milliseconds: 0 } });
    expect(spanAt(day, at('2026-03-28T13:00:00Z')).inside?.until).toBe(at('2026-03-29T11:00:00Z'));
    const exact = span({ starts: '2026-03-28T12:00:00', lasts: hours(24) });
    expect(spanAt(exact, at('2026-03-28T13:00:00Z')).inside?.until).toBe(at('2026-03-29T12:00:00Z'));
  });

  it('ends with COUNT and UNTIL', () => {
    const three = span({ starts: '2026-01-05T09:00:00', lasts: hours(1), rule: 'FREQ=WEEKLY;COUNT=3' });
    expect(open('2026-01-19T09:30:00Z', three)).toBe(true);
    expect(open('2026-01-26T09:30:00Z', three)).toBe(false);
    expect(inWindow('w', [three], at('2026-02-01T00:00:00Z')).opens).toContain('no window is to come');
    const until = span({ starts: '2026-01-05T09:00:00', lasts: hours(1), rule: 'FREQ=WEEKLY;UNTIL=20260112T090000Z' });
    expect(open('2026-01-12T09:30:00Z', until)).toBe(true);
    expect(open('2026-01-19T09:30:00Z', until)).toBe(false);
  });

  it('knows the last Friday of the month, other zones, and the night across midnight', () => {
    const last = span({
      starts: '2026-01-01T22:00:00',
      lasts: hours(4),
      rule: 'FREQ=MONTHLY;BYDAY=-1FR',
      zone: 'America/New_York',
    });
    expect(open('2026-01-31T03:00:00Z', last)).toBe(true);
    expect(open('2026-01-31T07:00:00Z', last)).toBe(false);
    expect(open('2026-01-24T03:00:00Z', last)).toBe(false);
  });

  it('is asked quickly, also long after its start', () => {
    const old = span({ starts: '2000-01-03T09:00:00', lasts: hours(1), rule: 'FREQ=HOURLY;BYMINUTE=0,30' });
    const began = performance.now();
    for (let day = 0; day < 20; day++) spanAt(old, at('2026-11-01T10:15:00Z') + day * 86_400_000);
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

describe('a freeze', () => {
  const year = span({ name: 'year end', starts: '2026-12-20T00:00:00', lasts: { until: '2027-01-04T00:00:00' } });
  const ask = (text: string, ...spans: SpanForm[]) => outsideFreeze('freezes', spans, at(text));

  it('shuts from its first moment until its end', () => {
    expect(ask('2026-12-19T23:59:59Z', year)).toMatchObject({
      holds: true,
      reason: 'no freeze until 2026-12-20 00:00 UTC',
    });
    expect(ask('2026-12-20T00:00:00Z', year)).toMatchObject({
      holds: false,
      since: at('2026-12-20T00:00:00Z'),
      opensAt: at('2027-01-04T00:00:00Z'),
      reason: 'frozen: year end until 2027-01-04 00:00 UTC',
    });
    expect(ask('2027-01-04T00:00:00Z', year)).toMatchObject({ holds: true, reason: 'no freeze' });
  });

  it('goes on while another follows without a gap', () => {
    const more = span({ starts: '2027-01-03T12:00:00', lasts: hours(24) });
    expect(ask('2026-12-25T00:00:00Z', year, more).opensAt).toBe(at('2027-01-04T12:00:00Z'));
    const always = span({ starts: '2026-01-01T00:00:00', lasts: { days: 2, milliseconds: 0 }, rule: 'FREQ=DAILY' });
    expect(ask('2026-12-25T00:00:00Z', always)).toMatchObject({
      holds: false,
      opens: expect.stringContaining('follow each other') as string,
    });
  });

  it('counts as one where its rule can not be followed, and a window then as shut', () => {
    const never = span({ starts: '2020-01-03T09:00:00', lasts: hours(1), rule: 'FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30' });
    const answer = ask('2026-11-25T00:00:00Z', never);
    const window = inWindow('w', [never], at('2026-11-25T00:00:00Z'));
    expect(window.holds).toBe(false);
    expect(answer.holds).toBe(false);
    expect(answer.reason).toContain('banksman.yaml:7');
    const began = performance.now();
    for (let time = 0; time < 50; time++) ask('2026-11-25T00:00:00Z', never);
    expect(performance.now() - began).toBeLessThan(200);
  });

  it('and a window never disagree on a moment: one is inside exactly where the other is shut', () => {
    const moment = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2027-06-01T00:00:00Z') });
    fc.assert(
      fc.property(moment, (now) => {
        expect(inWindow('w', [office, year], now).holds).toBe(!outsideFreeze('f', [office, year], now).holds);
      }),
      { numRuns: 200 },
    );
  });

  it('the next moment that is told is the first at which the answer changes', () => {
    const moment = fc.integer({ min: at('2026-02-01T00:00:00Z'), max: at('2027-06-01T00:00:00Z') });
    fc.assert(
      fc.property(moment, (now) => {
        const answer = inWindow('w', [office], now);
        if (answer.opensAt === undefined) return;
        expect(inWindow('w', [office], answer.opensAt).holds).toBe(true);
        expect(inWindow('w', [office], answer.opensAt - 1).holds).toBe(false);
        expect(answer.opensAt).toBeGreaterThan(now);
      }),
      { numRuns: 200 },
    );
  });
});
