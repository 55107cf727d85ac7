import { EvaluationError, type Value } from '../../language/index.ts';
import { ArgumentFault, GraphFault } from '../fault.ts';
import { nearestLabel, parseLabel, splitLabel } from '../names/label.ts';
import { define } from './define.ts';

/** Keys for what holds where no condition does; the longer one is Bazel's. */
const otherwise = ['default', '//conditions:default'];
/** The label that `config_setting` gives its target where the setting holds. */
const holds = 'config:on';

/** `select({":linux": [...], "default": [...]})`, decided when the BUILD file is read. */
export const select = define({
  name: 'select',
  documentation:
    'The value of the condition that holds, of several the last one in the order of their labels. Conditions are labels of config_setting targets; the value of "default" is taken where none holds.',
  parameters: [{ name: 'conditions', type: 'dict' }],
  implementation: ([conditions], { context }) => {
    let rest: Value | undefined;
    let chosen: { readonly key: string; readonly value: Value } | undefined;
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
      // Of several that hold the last one by its key counts, as in Please.
      if (target.labels.includes(holds) && (chosen === undefined || chosen.key < key)) chosen = { key, value };
    }
    const value = chosen === undefined ? rest : chosen.value;
    if (value === undefined) {
      throw new EvaluationError('language/value', 'none of the conditions of select holds', 'add the key "default"');
    }
    return value;
  },
});
