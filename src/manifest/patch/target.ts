import type { Node, YAMLMap, YAMLSeq } from 'yaml';
import { nearest } from '../../fault/index.ts';
import { ManifestFault } from '../fault.ts';
import { placeOf, type YamlDocument } from '../read.ts';
import { entriesOf, entryOf, isMap, isScalar, isSeq } from './nodes.ts';

/** A document of a patch file, with the object that it is for. */
export interface Patch {
  readonly document: YamlDocument;
  readonly target: Target;
  /** The operations of a JSON patch; undefined for a strategic merge. */
  readonly operations: YAMLSeq | undefined;
}

interface Target {
  /** Undefined where a JSON patch leaves it out. */
  readonly apiVersion: string | undefined;
  readonly kind: string;
  readonly name: string;
  /** Where it is named. */
  readonly node: Node;
}

/**
 * Reads what a patch is for. `{target: {kind, name}, patch: [...]}` is a JSON patch; an object with its kind and name and the fields
 * that differ is a strategic merge.
 *
 * @throws ManifestFault manifest/bad-patch
 */
export function readPatch(document: YamlDocument): Patch {
  const root: unknown = document.yaml.contents;
  const bad = (node: Node | null | undefined, message: string, next?: string) =>
    new ManifestFault('manifest/bad-patch', message, { place: placeOf(document, node ?? (root as Node)), next });
  if (!isMap(root)) throw bad(undefined, 'a patch is a map', 'name its object by kind and metadata.name');
  const map = root as YAMLMap;
  const text = (from: YAMLMap, key: string): string | undefined => {
    const node = entryOf(from, key);
    if (node === undefined) return undefined;
    if (!isScalar(node) || typeof node.value !== 'string') throw bad(node, `${key} must be a text`);
    return node.value;
  };
  const operations = entryOf(map, 'patch');
  const target = entryOf(map, 'target');
  if (operations === undefined && target === undefined) {
    const metadata = entryOf(map, 'metadata');
    const kind = text(map, 'kind');
    const name = isMap(metadata) ? text(metadata as YAMLMap, 'name') : undefined;
    if (kind === undefined) throw bad(undefined, 'the patch has no kind', 'add the kind of the object that it changes');
    if (name === undefined)
      throw bad(metadata, 'the patch has no metadata.name', 'add the name of the object that it changes');
    const node = entryOf(metadata as YAMLMap, 'name') as Node;
    return { document, target: { apiVersion: text(map, 'apiVersion'), kind, name, node }, operations: undefined };
  }
  for (const { key, keyNode } of entriesOf(map)) {
    if (key !== 'target' && key !== 'patch') throw bad(keyNode, `a JSON patch has target and patch, and no ${key}`);
  }
  if (!isMap(target)) throw bad(target, 'the patch has no target', 'add target: { kind: ..., name: ... }');
  if (!isSeq(operations)) throw bad(operations, 'patch is a list of operations (RFC 6902)');
  for (const { key, keyNode } of entriesOf(target as YAMLMap)) {
    if (['apiVersion', 'kind', 'name'].includes(key)) continue;
    throw bad(keyNode, `a target has kind, name and apiVersion, and no ${key}`);
  }
  const kind = text(target as YAMLMap, 'kind');
  const name = text(target as YAMLMap, 'name');
  if (kind === undefined || name === undefined) throw bad(target as Node, 'a target needs kind and name');
  const named = { apiVersion: text(target as YAMLMap, 'apiVersion'), kind, name };
  return {
    document,
    target: { ...named, node: entryOf(target as YAMLMap, 'name') as Node },
    operations: operations as YAMLSeq,
  };
}

/**
 * The one object that a patch is for.
 *
 * @throws ManifestFault manifest/no-patch-target
 */
export function findTarget({ target, document }: Patch, objects: readonly YamlDocument[]): YamlDocument {
  const named = objects.map((object) => ({ object, ...identityOf(object) }));
  const found = named.filter(
    ({ kind, name, group }) =>
      kind === target.kind &&
      name === target.name &&
      (target.apiVersion === undefined || group === groupOf(target.apiVersion)),
  );
  const [first] = found;
  if (first !== undefined && found.length === 1) return first.object;
  const place = placeOf(document, target.node);
  if (found.length > 1) {
    throw new ManifestFault(
      'manifest/no-patch-target',
      `there are ${found.length} objects ${target.kind} ${target.name}`,
      {
        place,
        related: found.map(({ object }) => ({
          message: 'one of them',
          place: placeOf(object, object.yaml.contents as Node),
        })),
        next: 'say which with apiVersion',
      },
    );
  }
  const names = named.map(({ kind, name }) => `${kind} ${name}`);
  const meant = nearest(`${target.kind} ${target.name}`, names);
  throw new ManifestFault('manifest/no-patch-target', `there is no ${target.kind} ${target.name} to patch`, {
    place,
    next: meant === undefined ? `there are ${names.join(', ')}` : `did you mean ${meant}?`,
  });
}

export function identityOf({ value }: YamlDocument): {
  readonly apiVersion: string;
  readonly group: string;
  readonly kind: string;
  readonly name: string;
} {
  const { apiVersion, kind, metadata } = (value ?? {}) as {
    apiVersion?: unknown;
    kind?: unknown;
    metadata?: { name?: unknown };
  };
  return {
    apiVersion: String(apiVersion),
    group: groupOf(String(apiVersion)),
    kind: String(kind),
    name: String(metadata?.name),
  };
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
}
