import type { Node, YAMLMap, YAMLSeq } from 'yaml';
import { nearest } from '../../fault/index.ts';
import { ManifestFault } from '../fault.ts';
import { placeOf, type YamlDocument } from '../read.ts';
import { kubernetesFields } from './fields.ts';
import {
  copyOf,
  entriesOf,
  entryOf,
  isMap,
  isSameValue,
  isScalar,
  isSeq,
  plainOf,
  removeEntry,
  setEntry,
} from './nodes.ts';

const members: Readonly<Record<string, readonly string[]>> = {
  add: ['op', 'path', 'value'],
  remove: ['op', 'path'],
  replace: ['op', 'path', 'value'],
  move: ['op', 'path', 'from'],
  copy: ['op', 'path', 'from'],
  test: ['op', 'path', 'value'],
};

/** A JSON pointer (RFC 6901), with where it is written. */
interface Pointer {
  readonly text: string;
  readonly steps: readonly string[];
  readonly node: Node;
}

/**
 * Applies a JSON patch (RFC 6902) to an object: all of it, or an error.
 *
 * @param operations the list of operations in the patch's document
 * @param type of the object, so that a field that its kind does not have is an error
 * @throws ManifestFault manifest/bad-patch with the place in the patch
 */
export function applyJsonPatch(
  target: YamlDocument,
  patch: YamlDocument,
  operations: YAMLSeq,
  type: string | undefined,
): void {
  for (const operation of operations.items) applyOperation(target, patch, operation as Node, type);
}

function applyOperation(target: YamlDocument, patch: YamlDocument, operation: Node, type: string | undefined): void {
  const bad = (node: Node | null | undefined, message: string, next?: string) =>
    new ManifestFault('manifest/bad-patch', message, { place: placeOf(patch, node ?? operation), next });
  if (!isMap(operation)) throw bad(operation, 'an operation is a map with op and path');
  const map = operation as YAMLMap;
  const op = textOf(entryOf(map, 'op'));
  const needed = op === undefined ? undefined : members[op];
  if (op === undefined || needed === undefined) {
    throw bad(entryOf(map, 'op'), `op is one of ${Object.keys(members).join(', ')}`, nearestOf(op));
  }
  for (const { key, keyNode } of entriesOf(map)) {
    if (!needed.includes(key)) throw bad(keyNode, `${op} has no ${key}`, `it takes ${needed.join(', ')}`);
  }
  const pointerAt = (key: string): Pointer => {
    const node = entryOf(map, key);
    const text = textOf(node);
    if (node === undefined || text === undefined) throw bad(node, `${op} needs ${key}`, `add ${key}: /spec/...`);
    if (text !== '' && !text.startsWith('/')) throw bad(node, `${key} begins with /`, `write /${text}`);
    if (/~(?![01])/.test(text)) throw bad(node, '~ is written ~0 in a pointer, and / is ~1');
    const steps = text.split('/').slice(1);
    return { text, node, steps: steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~')) };
  };
  const path = pointerAt('path');
  const value = () => {
    const node = entryOf(map, 'value');
    if (node === undefined) throw bad(undefined, `${op} needs value`);
    return copyOf(node, patch);
  };
  const at = ({ text, node }: Pointer, why: string, next?: string) => bad(node, `${text || '/'}: ${why}`, next);
  const root = () => target.yaml.contents as unknown as Node;

  const find = (pointer: Pointer, steps = pointer.steps): Node => {
    let node = root();
    steps.forEach((step, index) => {
      const found = child(node, step);
      const so = `/${steps.slice(0, index + 1).join('/')}`;
      if (found === undefined) throw at(pointer, `the object has no ${so}`, hint(node, step));
      node = found;
    });
    return node;
  };
  const parentOf = (pointer: Pointer): { readonly parent: Node; readonly last: string } => {
    const last = pointer.steps.at(-1);
    if (last === undefined) throw at(pointer, 'the whole object is not changed by a patch');
    const identity = ['/kind', '/apiVersion', '/metadata', '/metadata/name'];
    if (identity.includes(pointer.text)) throw at(pointer, 'a patch can not make another object of this one');
    return { parent: find(pointer, pointer.steps.slice(0, -1)), last };
  };
  const indexIn = (pointer: Pointer, list: YAMLSeq, step: string, most: number): number => {
    if (!/^(?:0|[1-9][0-9]*)$/.test(step)) throw at(pointer, `${JSON.stringify(step)} is not a place in a list`);
    if (Number(step) > most) throw at(pointer, `the list has ${list.items.length} entries`);
    return Number(step);
  };
  const add = (pointer: Pointer, node: Node) => {
    const { parent, last } = parentOf(pointer);
    if (isSeq(parent)) {
      const list = parent as YAMLSeq;
      const index = last === '-' ? list.items.length : indexIn(pointer, list, last, list.items.length);
      list.items.splice(index, 0, node);
    } else if (isMap(parent)) {
      checkFields(pointer);
      setEntry(parent as YAMLMap, last, node);
    } else throw at(pointer, 'its parent is neither a map nor a list');
  };
  const remove = (pointer: Pointer) => {
    const { parent, last } = parentOf(pointer);
    find(pointer);
    if (isSeq(parent)) parent.items.splice(Number(last), 1);
    else removeEntry(parent as YAMLMap, last);
  };
  /** Follows the pointer through the kind's own types, as far as they go. */
  const checkFields = (pointer: Pointer) => {
    const fields = kubernetesFields();
    let now = type;
    let each: string | undefined;
    for (const step of pointer.steps) {
      if (each !== undefined) {
        now = each;
        each = undefined;
        continue;
      }
      if (now === undefined) return;
      const known = fields.of(now);
      const field = known.get(step);
      if (field === undefined) {
        const meant = nearest(step, known.keys());
        throw at(pointer, `there is no field ${step}`, meant === undefined ? undefined : `did you mean ${meant}?`);
      }
      if (field.shape === 'list' || field.shape === 'map') {
        each = field.type;
        now = undefined;
        if (each === undefined) return;
      } else now = field.shape === 'object' ? field.type : undefined;
    }
  };

  switch (op) {
    case 'add':
      add(path, value());
      return;
    case 'remove':
      remove(path);
      return;
    case 'replace': {
      const node = value();
      const { parent, last } = parentOf(path);
      find(path);
      if (isSeq(parent)) parent.items[Number(last)] = node;
      else setEntry(parent as YAMLMap, last, node);
      return;
    }
    case 'move':
    case 'copy': {
      const from = pointerAt('from');
      const node = find(from);
      if (op === 'move') {
        if (path.text.startsWith(`${from.text}/`)) throw at(path, 'a value can not be moved into itself');
        remove(from);
      }
      add(path, op === 'move' ? node : copyOf(node, target.origins.get(node) ?? target));
      return;
    }
    case 'test': {
      const wanted = plainOf(value(), patch.yaml);
      const found = plainOf(find(path), target.yaml);
      if (!isSameValue(wanted, found)) throw at(path, `it is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
    }
  }
}

function child(node: Node, step: string): Node | undefined {
  if (isMap(node)) return entryOf(node as YAMLMap, step);
  if (isSeq(node) && /^(?:0|[1-9][0-9]*)$/.test(step)) return (node as YAMLSeq).items[Number(step)] as Node | undefined;
  return undefined;
}

function hint(node: Node, step: string): string | undefined {
  if (isSeq(node)) return `the list has ${(node as YAMLSeq).items.length} entries, counted from 0`;
  if (!isMap(node)) return undefined;
  const keys = entriesOf(node as YAMLMap).map(({ key }) => key);
  const meant = nearest(step, keys);
  return meant === undefined ? `there are ${keys.join(', ')}` : `did you mean ${meant}?`;
}

function nearestOf(op: string | undefined): string | undefined {
  const meant = op === undefined ? undefined : nearest(op, Object.keys(members));
  return meant === undefined ? undefined : `did you mean ${meant}?`;
}

function textOf(node: Node | undefined): string | undefined {
  return isScalar(node) && typeof node.value === 'string' ? node.value : undefined;
}
