import type { Node, YAMLMap, YAMLSeq } from 'yaml';
import { nearest } from '../../fault/index.ts';
import { ManifestFault } from '../fault.ts';
import { placeOf, type YamlDocument } from '../read.ts';
import { type Field, type Fields, kubernetesFields } from './fields.ts';
import {
  copyOf,
  entriesOf,
  entryOf,
  isMap,
  isNull,
  isSameValue,
  isScalar,
  isSeq,
  plainOf,
  removeEntry,
  setEntry,
} from './nodes.ts';

/** What a strategic merge needs to know while it descends. */
interface Merge {
  readonly patch: YamlDocument;
  readonly fields: Fields;
  readonly target: YamlDocument;
}

const anything: Field = { shape: 'any', type: undefined, merges: false, key: undefined, replaces: false };
/** Fields that a type has beside its own. */
const directives = ['$patch', '$retainKeys'];
const deleteFrom = '$deleteFromPrimitiveList/';
const setOrder = '$setElementOrder/';

/**
 * Merges a patch into an object as Kubernetes' strategic merge does: maps are merged, `null` removes, lists are merged by the merge
 * keys that the kind's own types give, and replaced where they give none; `$patch: delete | replace | merge`, `$retainKeys` and
 * `$deleteFromPrimitiveList/...` are followed. To delete what is not there is an error. Kinds that are not Kubernetes' own have no merge keys: their lists are replaced
 * (RFC 7386), and their fields are not known.
 *
 * @returns whether the whole object is to be deleted
 * @throws ManifestFault manifest/bad-patch with the place in the patch
 */
export function mergeStrategically(target: YamlDocument, patch: YamlDocument, type: string | undefined): boolean {
  const root = patch.yaml.contents;
  const into: unknown = target.yaml.contents;
  if (!isMap(root) || !isMap(into)) throw bad(patch, root as Node | null, 'a patch is a map of fields');
  const directive = directiveOf(patch, root as YAMLMap);
  if (directive === 'delete') return true;
  if (directive === 'replace') {
    throw bad(
      patch,
      entryOf(root as YAMLMap, '$patch'),
      'a whole object is not replaced',
      'write it into the manifests instead',
    );
  }
  mergeMap(into as YAMLMap, root as YAMLMap, type, { patch, target, fields: kubernetesFields() }, []);
  return false;
}

function mergeMap(into: YAMLMap, from: YAMLMap, type: string | undefined, merge: Merge, path: readonly string[]): void {
  const { patch, fields } = merge;
  const known = type === undefined ? undefined : fields.of(type);
  const retained = entryOf(from, '$retainKeys');
  if (retained !== undefined) {
    const keep = textsOf(retained, merge);
    for (const { key } of entriesOf(into)) if (!keep.includes(key)) removeEntry(into, key);
  }
  for (const { key, keyNode, value } of entriesOf(from)) {
    if (directives.includes(key)) continue;
    if (key.startsWith(setOrder)) {
      throw bad(patch, keyNode, `${key} is not followed here`, 'use a JSON patch to put entries in an order');
    }
    if (key.startsWith(deleteFrom)) {
      removeTexts(into, key.slice(deleteFrom.length), value, merge, keyNode);
      continue;
    }
    if (key.startsWith('$') && known?.has(key) !== true) throw bad(patch, keyNode, `there is no directive ${key}`);
    const field = known === undefined ? anything : known.get(key);
    if (field === undefined) throw unknownField(patch, keyNode, key, path, known?.keys() ?? []);
    if (isNull(value)) removeEntry(into, key);
    else mergeField(into, key, value as Node, field, merge, [...path, key]);
  }
}

function mergeField(
  into: YAMLMap,
  key: string,
  value: Node,
  field: Field,
  merge: Merge,
  path: readonly string[],
): void {
  const before = entryOf(into, key);
  if (isMap(value)) {
    const directive = directiveOf(merge.patch, value as YAMLMap);
    if (directive === 'delete') {
      removeEntry(into, key);
      return;
    }
    const type = field.shape === 'object' ? field.type : undefined;
    const base =
      isMap(before) && directive !== 'replace' && !field.replaces ? (before as YAMLMap) : emptyMap(value, merge);
    if (field.shape === 'map' && field.type !== undefined) mergeEach(base, value as YAMLMap, field.type, merge, path);
    else mergeMap(base, value as YAMLMap, type, merge, path);
    if (base !== before) setEntry(into, key, base);
    return;
  }
  if (isSeq(value)) {
    const base = isSeq(before) && field.merges ? (before as YAMLSeq) : emptyList(value, merge);
    mergeList(base, value as YAMLSeq, field, merge, path);
    if (base !== before) setEntry(into, key, base);
    return;
  }
  setEntry(into, key, copyOf(value, merge.patch));
}

/** A map from names to objects of one type. */
function mergeEach(into: YAMLMap, from: YAMLMap, type: string, merge: Merge, path: readonly string[]): void {
  const field: Field = { ...anything, shape: 'object', type };
  for (const { key, value } of entriesOf(from)) {
    if (key === '$patch') continue;
    if (isNull(value)) removeEntry(into, key);
    else mergeField(into, key, value as Node, field, merge, [...path, key]);
  }
}

function mergeList(into: YAMLSeq, from: YAMLSeq, field: Field, merge: Merge, path: readonly string[]): void {
  const { patch } = merge;
  const items = (from.items as Node[]).filter((item) => {
    if (!isMap(item) || directiveOf(patch, item as YAMLMap) !== 'replace') return true;
    // Kubernetes would replace the whole list and leave the entry out, which nobody who writes this can mean.
    if (item.items.length > 1)
      throw bad(patch, item, '$patch: replace stands alone in its entry', 'write - $patch: replace');
    into.items = [];
    return false;
  });
  const before = [...into.items];
  const touched: unknown[] = [];
  for (const item of items) {
    if (!isMap(item)) {
      const value = valueIn(item, merge);
      const same = field.merges ? into.items.find((each) => isSameValue(valueIn(each, merge), value)) : undefined;
      const node = same ?? copyOf(item, patch);
      if (same === undefined) into.items.push(node);
      touched.push(node);
      continue;
    }
    const entry = item as YAMLMap;
    const found = field.merges && field.key !== undefined ? entryIn(into, entry, field.key, merge, path) : undefined;
    if (directiveOf(patch, entry) === 'delete') {
      if (found === undefined)
        throw bad(patch, entry, `${path.join('.')} has no such entry to delete`, 'check its name');
      into.items = into.items.filter((each) => each !== found);
      continue;
    }
    const merged = found ?? emptyMap(entry, merge);
    mergeMap(merged, entry, field.type, merge, path);
    if (found === undefined) into.items.push(merged);
    touched.push(merged);
  }
  if (field.merges) into.items = inOrder(into.items, before, touched);
}

/**
 * Entries of a merged list in the order that Kubernetes gives them: those of the patch in the patch's order, and between them the
 * others, each before the first one of the patch that came after it before; new ones come first.
 */
function inOrder(items: readonly unknown[], before: readonly unknown[], touched: readonly unknown[]): unknown[] {
  const right = [...new Set(touched)].filter((item) => items.includes(item));
  const left = items.filter((item) => !right.includes(item));
  const result: unknown[] = [];
  while (left.length > 0 && right.length > 0) {
    const [ours, theirs] = [before.indexOf(left[0]), before.indexOf(right[0])];
    result.push(ours >= 0 && theirs >= 0 && ours < theirs ? left.shift() : right.shift());
  }
  return [...result, ...left, ...right];
}

/** The entry that has the same merge key. */
function entryIn(
  into: YAMLSeq,
  entry: YAMLMap,
  key: string,
  merge: Merge,
  path: readonly string[],
): YAMLMap | undefined {
  const name = entryOf(entry, key);
  if (name === undefined) {
    throw bad(
      merge.patch,
      entry,
      `an entry of ${path.join('.')} has no ${key}`,
      `entries are told apart by ${key}: add it`,
    );
  }
  const wanted = valueIn(name, merge);
  const found = into.items.filter(
    (each) => isMap(each) && isSameValue(valueIn(entryOf(each as YAMLMap, key), merge), wanted),
  );
  if (found.length > 1) {
    throw bad(
      merge.patch,
      name,
      `${path.join('.')} has ${found.length} entries with ${key} ${String(wanted)}`,
      'say which one with a JSON patch',
    );
  }
  return found[0] as YAMLMap | undefined;
}

function removeTexts(into: YAMLMap, key: string, value: Node | null, merge: Merge, keyNode: Node): void {
  const list = entryOf(into, key);
  if (!isSeq(value)) throw bad(merge.patch, keyNode, `${deleteFrom}${key} is a list`);
  if (!isSeq(list)) throw bad(merge.patch, keyNode, `the object has no list ${key}`);
  const gone = (value as YAMLSeq).items.map((item) => valueIn(item, merge));
  list.items = list.items.filter((item) => !gone.some((each) => isSameValue(each, valueIn(item, merge))));
}

function directiveOf(patch: YamlDocument, map: YAMLMap): 'delete' | 'replace' | 'merge' | undefined {
  const node = entryOf(map, '$patch');
  if (node === undefined) return undefined;
  const value = isScalar(node) ? node.value : undefined;
  if (value === 'delete' || value === 'replace' || value === 'merge') return value;
  throw bad(patch, node, '$patch is delete, replace or merge');
}

function textsOf(node: Node, { patch }: Merge): string[] {
  if (!isSeq(node)) throw bad(patch, node, '$retainKeys is a list of names');
  return (node as YAMLSeq).items.map((item) => String(isScalar(item) ? item.value : ''));
}

function valueIn(node: unknown, { patch }: Merge): unknown {
  return plainOf(node as Node | undefined, patch.yaml);
}

function emptyMap(like: Node, { patch }: Merge): YAMLMap {
  const map = copyOf(like, patch) as YAMLMap;
  map.items = [];
  return map;
}

function emptyList(like: Node, { patch }: Merge): YAMLSeq {
  const list = copyOf(like, patch) as YAMLSeq;
  list.items = [];
  return list;
}

function unknownField(
  patch: YamlDocument,
  node: Node,
  key: string,
  path: readonly string[],
  known: Iterable<string>,
): ManifestFault {
  const meant = nearest(key, known);
  const where = path.length === 0 ? 'the object' : path.join('.');
  return bad(patch, node, `${where} has no field ${key}`, meant === undefined ? undefined : `did you mean ${meant}?`);
}

function bad(patch: YamlDocument, node: Node | null | undefined, message: string, next?: string): ManifestFault {
  return new ManifestFault('manifest/bad-patch', message, { place: placeOf(patch, node), next });
}
