import { EvaluationError, type Value } from '../language/index.ts';
import { define } from './define.ts';
import { GraphFault } from './fault.ts';
import { ArgumentFault } from './inputs.ts';
import { nearestLabel, parseLabel, splitLabel } from './label.ts';
import type { Label } from './types.ts';

/** Keys for what holds where no condition does; the longer one is Bazel's. */
const otherwise = ['default', '//conditions:default'];
/** The label that `config_setting` gives its target where the setting holds. */
const holds = 'config:on';

/** `select({":linux": [...], "default": [...]})`, decided when the BUILD file is read. */
export const select = define({
  name: 'select',
  documentation:
    'The value of the one condition that holds. Conditions are labels of config_setting targets; the value of "default" is taken where none holds.',
  parameters: [{ name: 'conditions', type: 'dict' }],
  implementation: ([conditions], { context }) => {
    const chosen: { readonly label: Label; readonly value: Value }[] = [];
    let rest: Value | undefined;
    for (const [key, value] of conditions as ReadonlyMap<string, Value>) {
      if (otherwise.includes(key)) {
        rest = value;
        continue;
      }
      const label = parseLabel(key, context);
      const target = context.find(label);
      if (target === undefined) {
        const near = nearestLabel(
          label,
          new Map([...(context.targets?.values() ?? [])].map((each) => [each.label, each])),
        );
        const fault = new GraphFault('graph/missing-target', `select asks for ${label}, which does not exist`, {
          next: near === undefined ? `write a config_setting named ${splitLabel(label).name}` : `did you mean ${near}?`,
        });
        throw new ArgumentFault(fault, key);
      }
      if (!target.labels.some((each) => each.startsWith('config:'))) {
        throw new ArgumentFault(
          new GraphFault('graph/bad-target', `select asks for ${label}, which is no config_setting`, {
            related: [{ message: 'the target', place: target.place }],
            next: 'name a target of config_setting',
          }),
          key,
        );
      }
      if (target.labels.includes(holds)) chosen.push({ label, value });
    }
    const [first, second] = chosen;
    if (second !== undefined) {
      throw new EvaluationError(
        'language/value',
        `${first!.label} and ${second.label} both hold, so that select can't choose`,
        'make the conditions exclude one another',
      );
    }
    const value = first?.value ?? rest;
    if (value === undefined) {
      throw new EvaluationError('language/value', 'none of the conditions of select holds', 'add the key "default"');
    }
    return value;
  },
});
