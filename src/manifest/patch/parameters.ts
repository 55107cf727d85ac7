import { isNode, type Node, Scalar, visit } from 'yaml';
import { nearest } from '../../fault/index.ts';
import type { Json } from '../../graph/index.ts';
import { ManifestFault } from '../fault.ts';
import { parameterTag, placeOf, type YamlDocument } from '../read.ts';

/**
 * Puts an environment's parameters in the places that ask for them: `replicas: !param replicas`. A parameter takes the place of a
 * whole value, with its own type; `!param ledger.replicas` looks into a parameter that is a map.
 *
 * @param parameters undefined while no environment is known: then a text stands in for each
 * @returns whether there were any
 */
export function fillParameters(
  document: YamlDocument,
  parameters: Readonly<Record<string, Json>> | undefined,
  faults: ManifestFault[],
): boolean {
  let filled = false;
  visit(document.yaml, {
    Scalar(key, node) {
      if (node.tag !== parameterTag) return undefined;
      filled = true;
      const name = String(node.value);
      const fail = (message: string, next?: string) => {
        faults.push(new ManifestFault('manifest/unknown-parameter', message, { place: placeOf(document, node), next }));
        return visit.SKIP;
      };
      if (key === 'key') return fail('a parameter stands for a value, not for a key');
      if (!/^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*$/.test(name)) {
        return fail(`${JSON.stringify(name)} is not the name of a parameter`, 'write !param name');
      }
      if (parameters === undefined) return replacement(document, `parameter ${name}`, node);
      const value = lookUp(parameters, name.split('.'));
      if (value !== undefined) return replacement(document, value, node);
      const meant = nearest(name, Object.keys(parameters));
      return fail(
        `the environment has no parameter ${name}`,
        meant === undefined ? 'add it to parameters of the environment in banksman.yaml' : `did you mean ${meant}?`,
      );
    },
  });
  return filled;
}

function lookUp(parameters: Readonly<Record<string, Json>>, steps: readonly string[]): Json | undefined {
  let value: Json | undefined = parameters;
  for (const step of steps) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, step))
      return undefined;
    value = (value as Readonly<Record<string, Json>>)[step];
  }
  return value;
}

/** The value as a node that stands where the parameter was named. Texts get quotes: `yes` stays a text to every reader. */
function replacement(document: YamlDocument, value: Json, at: Scalar): Node {
  const node = document.yaml.createNode(value) as Node;
  visit(node, {
    Node(_, each) {
      if (!isNode(each)) return;
      if (at.range) each.range = [...at.range];
      if (each instanceof Scalar && typeof each.value === 'string') each.type = Scalar.QUOTE_DOUBLE;
    },
  });
  if (at.comment != null) node.comment = at.comment;
  return node;
}
