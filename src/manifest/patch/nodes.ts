import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Node,
  Pair,
  Scalar,
  visit,
  type YAMLMap,
} from 'yaml';
import type { YamlDocument } from '../read.ts';

/** The value of a map's key; undefined where it has none. */
export function entryOf(map: YAMLMap, key: string): Node | undefined {
  const pair = pairOf(map, key);
  return pair === undefined ? undefined : ((pair.value ?? undefined) as Node | undefined);
}

export function pairOf(map: YAMLMap, key: string): Pair<unknown, unknown> | undefined {
  return map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === key);
}

/** Sets a key's value, at its place where the map has it, else at the end. */
export function setEntry(map: YAMLMap, key: string, value: Node): void {
  const pair = pairOf(map, key);
  if (pair === undefined) map.items.push(new Pair(new Scalar(key), value) as YAMLMap['items'][number]);
  else pair.value = value;
}

export function removeEntry(map: YAMLMap, key: string): void {
  map.items = map.items.filter((pair) => !(isScalar(pair.key) && String(pair.key.value) === key));
}

/** Keys with their values, in the order written. */
export function entriesOf(
  map: YAMLMap,
): { readonly key: string; readonly keyNode: Node; readonly value: Node | null }[] {
  return map.items.flatMap((pair) =>
    isPair(pair) && isScalar(pair.key)
      ? [{ key: String(pair.key.value), keyNode: pair.key as Node, value: (pair.value ?? null) as Node | null }]
      : [],
  );
}

export function isNull(node: Node | null | undefined): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null);
}

/** Whether two nodes stand for the same value, whatever their style and the order of keys. */
export function isSameValue(a: unknown, b: unknown): boolean {
  return JSON.stringify(ordered(a)) === JSON.stringify(ordered(b));
}

/** Plain data of a node without aliases. */
export function plainOf(node: Node | null | undefined, document: Document): unknown {
  return node === null || node === undefined ? null : node.toJS(document);
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, entry]): [string, unknown] => [key, ordered(entry)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** A copy that stands at the same place of the same file. */
export function copyOf(node: Node, from: YamlDocument): Node {
  const copy = node.clone() as Node;
  visit(copy, {
    Node(_, each) {
      from.origins.set(each, from);
    },
  });
  return copy;
}

/** Puts what aliases stand for in their places: else a change at one place would change the others. */
export function expandAliases(document: YamlDocument): void {
  const { yaml } = document;
  visit(yaml, {
    Alias(_, alias: Alias) {
      const meant = alias.resolve(yaml);
      return meant === undefined ? undefined : (meant.clone() as Node);
    },
  });
  visit(yaml, {
    Node(_, node) {
      if (!isAlias(node) && (isScalar(node) || isCollection(node))) delete node.anchor;
    },
  });
}

export { isMap, isScalar, isSeq };
