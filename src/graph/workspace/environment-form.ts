import { nearest } from '../../fault/index.ts';
import { entriesOf, type FormNode, fieldsOf, jsonOf, listOf, textOf, truthOf, wrong } from '../../form/index.ts';
import type { Environment, Json } from '../types.ts';
import { gatesOf } from './gate-form.ts';
import { progressiveOf } from './progressive-form.ts';
import { durationOf } from './time-form.ts';

const environmentKeys = [
  'cluster',
  'namespace',
  'context',
  'registry',
  'parameters',
  'after',
  'automatic',
  'deadline',
  'patience',
  'on_failure',
  'patches',
  'services',
  'gates',
  'drift',
  'progressive',
] as const;

/** RFC 1123 label, which Kubernetes asks of namespaces. */
const dnsLabel = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** Host, port and path as image references have them; see the reference grammar of github.com/distribution/reference. */
export const registryName = /^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/;
const servicePattern = /^\/\/[^\s:]*(?::[^\s:/]+)?$/;
const parameterName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Without any, there is dev on the local cluster. */
export function environments(
  form: FormNode | undefined,
  registry: string,
  top: FormNode,
): ReadonlyMap<string, Environment> {
  if (form === undefined) {
    const dev: Environment = {
      name: 'dev',
      cluster: 'local',
      namespace: 'dev',
      registry,
      parameters: {},
      place: top.place,
    };
    return new Map([['dev', dev]]);
  }
  const result = new Map<string, Environment>();
  const upstream = new Map<string, FormNode>();
  for (const { key, value, place } of entriesOf(form)) {
    if (!dnsLabel.test(key))
      throw wrong(
        value,
        `${JSON.stringify(key)} can't be the name of an environment`,
        'use small letters, digits and -',
      );
    const fields = fieldsOf(value, environmentKeys);
    for (const needed of ['cluster', 'namespace'] as const) {
      if (fields[needed] === undefined) throw wrong(value, `${needed} is missing`, `add ${needed}: ...`);
    }
    if (fields.after !== undefined) upstream.set(key, fields.after);
    result.set(key, {
      name: key,
      cluster: textOf(fields.cluster!, dnsLabel, 'the name of a cluster: small letters, digits and -'),
      namespace: textOf(fields.namespace!, dnsLabel, 'the name of a namespace: small letters, digits and -'),
      ...(fields.context !== undefined && { context: textOf(fields.context, /./, 'the name of a context') }),
      registry:
        fields.registry === undefined ? registry : textOf(fields.registry, registryName, 'the name of a registry'),
      parameters: fields.parameters === undefined ? {} : parametersOf(fields.parameters),
      ...(fields.after !== undefined && { after: textOf(fields.after, dnsLabel, 'the name of an environment') }),
      ...(fields.automatic !== undefined && { automatic: truthOf(fields.automatic) }),
      ...(fields.deadline !== undefined && { deadline: durationOf(fields.deadline) }),
      ...(fields.patience !== undefined && { patience: durationOf(fields.patience) }),
      ...(fields.on_failure !== undefined && {
        onFailure: textOf(fields.on_failure, /^(?:return|stop)$/, 'return or stop') as 'return' | 'stop',
      }),
      ...(fields.patches !== undefined && {
        patches: listOf(fields.patches).map((each) => textOf(each, dnsLabel, 'the name of a set of patches')),
      }),
      ...(fields.services !== undefined && {
        services: listOf(fields.services).map((each) => textOf(each, servicePattern, 'a pattern such as //bank/...')),
      }),
      ...(fields.gates !== undefined && { gates: gatesOf(fields.gates, fields.after !== undefined) }),
      ...(fields.drift !== undefined && {
        drift: textOf(fields.drift, /^(?:correct|report)$/, 'correct or report') as 'correct' | 'report',
      }),
      ...(fields.progressive !== undefined && { progressive: progressiveOf(fields.progressive) }),
      place,
    });
  }
  if (result.size === 0) throw wrong(form, 'is empty', 'leave it out for dev on the local cluster');
  for (const [name, after] of upstream) checkOrder(name, after, result);
  return result;
}

/** Each leads to another one that exists, and back to one that takes its releases from commits. */
function checkOrder(name: string, form: FormNode, all: ReadonlyMap<string, Environment>): void {
  const seen = [name];
  for (let next = all.get(name)?.after; next !== undefined; next = all.get(next)?.after) {
    if (!all.has(next)) {
      if (seen.length > 1) return;
      const meant = nearest(next, all.keys());
      throw wrong(form, `there is no environment ${next}`, meant && `did you mean ${meant}?`);
    }
    if (next === name) throw wrong(form, `the environments wait for each other: ${[...seen, next].join(', ')}`);
    // A circle that this one only leads into is told at its own environments.
    if (seen.includes(next)) return;
    seen.push(next);
  }
}

function parametersOf(form: FormNode): Record<string, Json> {
  return Object.fromEntries(
    entriesOf(form).map(({ key, value }) => {
      if (!parameterName.test(key)) {
        throw wrong(value, `${JSON.stringify(key)} can't be the name of a parameter`, 'use letters, digits and _');
      }
      return [key, jsonOf(value)];
    }),
  );
}
