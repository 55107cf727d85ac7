import type { Json } from '../graph/index.ts';
import type { KubeObject } from '../kube/index.ts';

/** How one object differs between two states. */
export interface ObjectChanges {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly change: 'added' | 'changed' | 'removed';
  /** Of a changed one. */
  readonly fields: readonly FieldChange[];
}

export interface FieldChange {
  /** `spec.template.spec.containers[main].image` */
  readonly path: string;
  /** JSON, cut where it is long; absent where the field is. Never a secret's. */
  readonly before?: string | undefined;
  readonly after?: string | undefined;
}

/** Characters of a value that are shown, and fields of an object. */
const shownValue = 300;
const shownFields = 200;

/** What differs between two sets of objects, object by object and field by field. What is the same is left out. */
export function changesBetween(before: readonly KubeObject[], after: readonly KubeObject[]): ObjectChanges[] {
  const old = new Map(before.map((object) => [keyOf(object), object]));
  const names = new Set(after.map(keyOf));
  const removed = before.filter((object) => !names.has(keyOf(object))).map((object) => whole(object, 'removed'));
  const rest = after.flatMap((object) => {
    const was = old.get(keyOf(object));
    if (was === undefined) return [whole(object, 'added')];
    const fields = fieldsBetween(was, object);
    return fields.length === 0 ? [] : [{ ...whole(object, 'changed'), fields }];
  });
  return [...rest, ...removed].sort((a, b) => (keyText(a) < keyText(b) ? -1 : 1));
}

/** Fields in which two states of an object differ; the server's own notes and the status are no fields that anyone asked for. */
export function fieldsBetween(before: KubeObject, after: KubeObject): FieldChange[] {
  const found: FieldChange[] = [];
  const hides = after.kind === 'Secret' && after.apiVersion === 'v1';
  compare(wanted(before), wanted(after), '', found, hides);
  return found.slice(0, shownFields);
}

function whole({ kind, metadata }: KubeObject, change: ObjectChanges['change']): ObjectChanges {
  const { name, namespace } = metadata;
  return { kind, name, ...(namespace !== undefined && { namespace }), change, fields: [] };
}

function wanted({ status: _, metadata, ...rest }: KubeObject): Record<string, unknown> {
  const { managedFields: _m, resourceVersion: _v, generation: _g, uid: _u, creationTimestamp: _c, ...kept } = metadata;
  return { ...rest, metadata: kept };
}

function compare(before: unknown, after: unknown, path: string, found: FieldChange[], hides: boolean): void {
  if (JSON.stringify(before) === JSON.stringify(after)) return;
  if (isRecord(before) && isRecord(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const step = /^[A-Za-z0-9]+$/.test(key) ? `${path === '' ? '' : '.'}${key}` : `[${key}]`;
      compare(before[key], after[key], path + step, found, hides);
    }
    return;
  }
  const [old, now] = [byName(before), byName(after)];
  if (old !== undefined && now !== undefined) {
    for (const name of new Set([...old.keys(), ...now.keys()])) {
      compare(old.get(name), now.get(name), `${path}[${name}]`, found, hides);
    }
    if (JSON.stringify([...old.keys()]) === JSON.stringify([...now.keys()])) return;
    if (found.some((each) => each.path.startsWith(`${path}[`))) return;
  }
  const hidden = hides && /^(?:data|stringData)/.test(path);
  found.push({
    path,
    ...(before !== undefined && { before: hidden ? '(hidden)' : shown(before) }),
    ...(after !== undefined && { after: hidden ? '(hidden)' : shown(after) }),
  });
}

/** A list of named things, as Kubernetes merges them; undefined where it is none. */
function byName(value: unknown): Map<string, unknown> | undefined {
  if (!Array.isArray(value) || !value.every((each) => isRecord(each) && typeof each.name === 'string'))
    return undefined;
  const map = new Map(value.map((each) => [(each as { name: string }).name, each as unknown]));
  return map.size === value.length && map.size > 0 ? map : undefined;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value as Json);
  return text.length <= shownValue ? text : `${text.slice(0, shownValue - 1)}…`;
}

function keyOf({ apiVersion, kind, metadata }: KubeObject): string {
  // A new version of an API names the same object.
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  return `${group} ${kind} ${metadata.namespace ?? ''} ${metadata.name}`;
}

function keyText({ kind, namespace = '', name }: ObjectChanges): string {
  return `${kind} ${namespace} ${name}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
