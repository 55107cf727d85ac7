import { isFault } from '../../fault/index.ts';
import { entriesOf, type FormNode, fieldsOf, listOf, numberOf, textOf, wrong } from '../../form/index.ts';
import { parseLabel } from '../names/label.ts';
import type { GateForm, Label, SpanForm } from '../types.ts';
import { durationOf, lengthOf, localTimeOf, ruleOf, zoneOf } from './time-form.ts';

const gateKeys = ['soak', 'tests', 'approvals', 'windows', 'freezes', 'metrics', 'provenance'] as const;
const spanKeys = ['name', 'starts', 'for', 'until', 'rule', 'zone'] as const;
const simpleName = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** @param follows whether the environment comes after another, which a soak looks at */
export function gatesOf(form: FormNode, follows: boolean): GateForm[] {
  const given = fieldsOf(form, gateKeys);
  const gates: GateForm[] = [];
  for (const { key, value, place } of entriesOf(form)) {
    const at = { name: key, place };
    if (key === 'soak') {
      if (!follows) throw wrong(value, 'there is no environment before this one', 'add after: ... to the environment');
      gates.push({ ...at, kind: 'soak', duration: durationOf(value) });
    } else if (key === 'tests') gates.push({ ...at, kind: 'tests', targets: filled(value).map(targetOf) });
    else if (key === 'approvals') gates.push({ ...at, kind: 'approvals', ...approvalsOf(value) });
    else if (key === 'windows') gates.push({ ...at, kind: 'window', spans: filled(value).map(spanOf) });
    else if (key === 'freezes') gates.push({ ...at, kind: 'freeze', spans: filled(value).map(spanOf) });
    else if (key === 'metrics') gates.push(...metricsOf(value));
    else gates.push({ ...at, kind: 'provenance', policy: provenanceOf(given.provenance ?? value) });
  }
  return gates;
}

export function filled(form: FormNode): FormNode[] {
  const items = listOf(form);
  if (items.length === 0) throw wrong(form, 'is empty', 'leave it out');
  return items;
}

function targetOf(form: FormNode): Label {
  return labelOf(form, 'the label of a test: //bank/ledger:test');
}

export function labelOf(form: FormNode, what: string): Label {
  const text = textOf(form, /^\/\//, what);
  try {
    return parseLabel(text, '');
  } catch (error) {
    if (isFault(error)) throw wrong(form, error.message, error.next);
    throw error;
  }
}

function approvalsOf(form: FormNode): { readonly count: number; readonly role?: string } {
  const { count, role } = fieldsOf(form, ['count', 'role']);
  if (count === undefined) throw wrong(form, 'count is missing', 'add count: 1');
  const number = numberOf(count, 1);
  if (!Number.isInteger(number) || number > 20) throw wrong(count, 'must be a whole number up to 20');
  return { count: number, ...(role !== undefined && { role: textOf(role, simpleName, 'the name of a role') }) };
}

function spanOf(form: FormNode): SpanForm {
  const fields = fieldsOf(form, spanKeys);
  if (fields.starts === undefined) throw wrong(form, 'starts is missing', 'add starts: "2026-12-20T00:00"');
  if (fields.zone === undefined) throw wrong(form, 'zone is missing', 'add zone: Europe/London, or UTC');
  if ((fields.for === undefined) === (fields.until === undefined)) {
    throw wrong(form, 'needs one of for and until', 'add for: 8h');
  }
  const starts = localTimeOf(fields.starts);
  if (fields.until !== undefined) {
    if (fields.rule !== undefined) throw wrong(fields.until, 'a span with a rule has a length', 'use for: 8h');
    const until = localTimeOf(fields.until);
    if (until <= starts) throw wrong(fields.until, 'must be later than starts');
  }
  return {
    ...(fields.name !== undefined && { name: textOf(fields.name, /\S/, 'a name') }),
    starts,
    lasts: fields.for !== undefined ? lengthOf(fields.for) : { until: localTimeOf(fields.until!) },
    ...(fields.rule !== undefined && { rule: ruleOf(fields.rule) }),
    zone: zoneOf(fields.zone),
    place: form.place,
  };
}

function metricsOf(form: FormNode): GateForm[] {
  const seen = new Set<string>();
  return filled(form).map((each): GateForm => {
    const { name, ...measure } = fieldsOf(each, ['name', 'url', 'query', 'at_most', 'at_least']);
    if (name === undefined) throw wrong(each, 'name is missing', 'add name: ...');
    const named = textOf(name, simpleName, 'a name of small letters, digits and -');
    if (seen.has(named)) throw wrong(name, `there are two metrics ${named}`);
    seen.add(named);
    return { kind: 'metric', name: `metric:${named}`, ...measureOf(each, measure), place: each.place };
  });
}

/** A query to Prometheus, and within what its answer has to be. */
export function measureOf(
  form: FormNode,
  { url, query, at_most, at_least }: Partial<Record<'url' | 'query' | 'at_most' | 'at_least', FormNode>>,
): { readonly url: string; readonly query: string; readonly atMost?: number; readonly atLeast?: number } {
  if (url === undefined) throw wrong(form, 'url is missing', 'add url: ...');
  if (query === undefined) throw wrong(form, 'query is missing', 'add query: ...');
  if (at_most === undefined && at_least === undefined) {
    throw wrong(form, 'needs at_most or at_least', 'add at_most: 0.01');
  }
  return {
    // Signing in is by the settings of whoever asks: an address in a repository holds no password.
    url: textOf(url, /^https?:\/\/[^\s@]+$/, 'the http or https address of a Prometheus server'),
    query: textOf(query, /\S/, 'a query in PromQL'),
    ...(at_most !== undefined && { atMost: numberOf(at_most) }),
    ...(at_least !== undefined && { atLeast: numberOf(at_least) }),
  };
}

function provenanceOf(form: FormNode): string {
  const { policy } = fieldsOf(form, ['policy']);
  if (policy === undefined) throw wrong(form, 'policy is missing', 'add policy: the path of a policy file');
  return textOf(policy, /^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))\S+$/, 'the path of a file in the workspace');
}
