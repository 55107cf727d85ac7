import { type FormNode, textOf, wrong } from '../../form/index.ts';

const pattern = /^(?=.)(?:(\d{1,4})d)?(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?$/;
const form = 'a length of time such as 30s, 10m, 8h, 14d or 1h30m';

/** A length of time in milliseconds; a day is 24 hours. */
export function durationOf(node: FormNode): number {
  const { days, milliseconds } = lengthOf(node);
  return days * 86_400_000 + milliseconds;
}

/** The same with days apart: on the day when clocks change they have another length. */
export function lengthOf(node: FormNode): { readonly days: number; readonly milliseconds: number } {
  const [, days = 0, hours = 0, minutes = 0, seconds = 0] = pattern.exec(textOf(node, pattern, form)) ?? [];
  const milliseconds = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
  if (Number(days) === 0 && milliseconds === 0) throw wrong(node, 'must be longer than nothing');
  return { days: Number(days), milliseconds };
}

/** `2026-12-20T00:00`, with seconds or without, that exists in the calendar. */
export function localTimeOf(node: FormNode): string {
  const text = textOf(node, /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?$/, 'a local time such as 2026-12-20T00:00');
  const full = text.length === 16 ? `${text}:00` : text;
  const date = new Date(`${full}Z`);
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 19) !== full) {
    throw wrong(node, `${text} is not in the calendar`);
  }
  return full;
}

/** An IANA time zone that this machine's Node knows. */
export function zoneOf(node: FormNode): string {
  const zone = textOf(node, /^(?:UTC|[A-Za-z_+-]+(?:\/[A-Za-z0-9_+-]+)+)$/, 'a time zone such as Europe/London or UTC');
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return zone;
  } catch {
    throw wrong(node, `there is no time zone ${zone}`, 'name one of the IANA time zone database');
  }
}

const frequencies = ['YEARLY', 'MONTHLY', 'WEEKLY', 'DAILY', 'HOURLY'];
const weekday = '(?:MO|TU|WE|TH|FR|SA|SU)';
const list = (item: string) => new RegExp(`^${item}(?:,${item})*$`);
/** RFC 5545, 3.3.10; each part in the form and the bounds given there. */
const parts: Readonly<Record<string, RegExp>> = {
  FREQ: new RegExp(`^(?:${frequencies.join('|')})$`),
  INTERVAL: /^[1-9]\d{0,3}$/,
  COUNT: /^[1-9]\d{0,5}$/,
  UNTIL: /^\d{8}T\d{6}Z$/,
  BYMINUTE: list('(?:[0-5]?\\d)'),
  BYHOUR: list('(?:1?\\d|2[0-3]|0\\d)'),
  BYDAY: list(`(?:[+-]?(?:[1-9]|[1-4]\\d|5[0-3]))?${weekday}`),
  BYMONTHDAY: list('[+-]?(?:[1-9]|[12]\\d|3[01])'),
  BYYEARDAY: list('[+-]?[1-9]\\d{0,2}'),
  BYWEEKNO: list('[+-]?(?:[1-9]|[1-4]\\d|5[0-3])'),
  BYMONTH: list('(?:[1-9]|1[0-2]|0[1-9])'),
  BYSETPOS: list('[+-]?[1-9]\\d{0,2}'),
  WKST: new RegExp(`^${weekday}$`),
};

/**
 * A recurrence rule, checked part by part: a part that a reader would skip would open a window that nobody wanted. Every minute
 * or second is no window, and is refused.
 */
export function ruleOf(node: FormNode): string {
  const text = textOf(node, /^\S+$/, 'a recurrence rule (RFC 5545) such as FREQ=WEEKLY;BYDAY=MO,TU');
  const seen = new Set<string>();
  for (const part of text.split(';')) {
    const [name = '', value, ...more] = part.split('=');
    if (value === undefined || more.length > 0) throw wrong(node, `${JSON.stringify(part)} is not NAME=VALUE`);
    const known = parts[name];
    if (known === undefined)
      throw wrong(node, `there is no part ${name} here`, `parts are ${Object.keys(parts).join(', ')}`);
    if (seen.has(name)) throw wrong(node, `${name} stands twice`);
    seen.add(name);
    if (!known.test(value)) {
      const next = name === 'FREQ' ? `choose one of ${frequencies.join(', ')}` : 'see RFC 5545, section 3.3.10';
      throw wrong(node, `${value} is not a value of ${name}`, next);
    }
  }
  if (!seen.has('FREQ')) throw wrong(node, 'FREQ is missing', 'begin with FREQ=WEEKLY or another');
  if (seen.has('COUNT') && seen.has('UNTIL')) throw wrong(node, 'COUNT and UNTIL exclude each other');
  return text;
}
