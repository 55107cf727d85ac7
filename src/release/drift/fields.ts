import { isDeepStrictEqual } from 'node:util';
import { fieldManager, type KubeObject } from '../../kube/index.ts';

/** A set of fields, as metav1.FieldsV1 writes it: `f:name`, `k:{"name":"main"}` of a list by keys, `v:1` of a set, `i:0`, `.` itself. */
export interface FieldSet {
  readonly [key: string]: FieldSet;
}

/** Who holds fields of an object (metav1.ManagedFieldsEntry). */
export interface Holder {
  readonly manager: string;
  readonly operation: string;
  /** RFC 3339; when it last took or changed one. */
  readonly time?: string | undefined;
}

interface Entry extends Holder {
  readonly subresource?: string;
  readonly fieldsV1?: FieldSet;
}

/** A field that the release sets and that is otherwise in the cluster. Undefined values are not there. */
export interface FieldDrift {
  /** `spec.template.spec.containers[name=main].image` */
  readonly path: string;
  readonly wanted: unknown;
  readonly found: unknown;
  /** Who holds the field now; undefined where nobody does. */
  readonly by?: Holder | undefined;
}

/**
 * The fields in which an object differs from what the release would make of it. Only fields that our manager would hold count: what
 * others set beside, defaults and status are none of them. Entries of lists that Kubernetes merges by key are found by their keys, so
 * that their order does not count.
 *
 * @param wanted as it would be after the release was applied, with its managedFields
 * @param live as it is
 */
export function driftedFields(wanted: KubeObject, live: KubeObject): FieldDrift[] {
  const own = ownEntry(wanted)?.fieldsV1;
  if (own === undefined) return [];
  const found: FieldDrift[] = [];
  walk(own, wanted, live, [], (keys, path, before, after) => {
    found.push({ path, wanted: before, found: after, by: holderOf(live, keys) });
  });
  return found;
}

/** What our manager holds and since when: it is another whenever somebody takes a field, and costs no request to look at. */
export function ownEntry({ metadata }: Pick<KubeObject, 'metadata'>): Entry | undefined {
  return entriesOf(metadata.managedFields).find(
    ({ manager, operation, subresource }) =>
      manager === fieldManager && operation === 'Apply' && subresource === undefined,
  );
}

type Tell = (keys: readonly string[], path: string, wanted: unknown, live: unknown) => void;

function walk(fields: FieldSet, wanted: unknown, live: unknown, keys: readonly string[], tell: Tell): void {
  const inner = Object.keys(fields).filter((key) => key !== '.');
  const path = () => keys.map(written).join('').replace(/^\./, '');
  if (inner.length === 0 || live === undefined || live === null) {
    if (wanted !== undefined && !isDeepStrictEqual(wanted, live)) tell(keys, path(), wanted, live ?? undefined);
    return;
  }
  for (const key of inner) {
    walk(fields[key] as FieldSet, step(wanted, key), step(live, key), [...keys, key], tell);
  }
}

/** The value at one key of a field set. */
function step(value: unknown, key: string): unknown {
  const rest = key.slice(2);
  switch (key.slice(0, 2)) {
    case 'f:':
      return isRecord(value) ? value[rest] : undefined;
    case 'k:': {
      const wanted = Object.entries(JSON.parse(rest) as Record<string, unknown>);
      return listIn(value).find((item) => isRecord(item) && wanted.every(([name, each]) => item[name] === each));
    }
    case 'v:': {
      const wanted: unknown = JSON.parse(rest);
      return listIn(value).find((item) => isDeepStrictEqual(item, wanted));
    }
    case 'i:':
      return listIn(value)[Number(rest)];
    default:
      return undefined;
  }
}

function written(key: string): string {
  const rest = key.slice(2);
  switch (key.slice(0, 2)) {
    case 'f:':
      return /^[A-Za-z0-9_-]+$/.test(rest) ? `.${rest}` : `[${rest}]`;
    case 'k:':
      return `[${Object.entries(JSON.parse(rest) as Record<string, unknown>)
        .map(([name, value]) => `${name}=${String(value)}`)
        .join(',')}]`;
    default:
      return `[${rest}]`;
  }
}

/** Who holds a field, or something in it; whoever came last where there are several. */
function holderOf({ metadata }: KubeObject, keys: readonly string[]): Holder | undefined {
  const holding = entriesOf(metadata.managedFields)
    .filter((entry) => entry.fieldsV1 !== undefined && holds(entry.fieldsV1, keys))
    .sort((a, b) => Date.parse(a.time ?? '') - Date.parse(b.time ?? ''));
  const last = holding.at(-1);
  return last === undefined ? undefined : { manager: last.manager, operation: last.operation, time: last.time };
}

function holds(fields: FieldSet, keys: readonly string[]): boolean {
  let at: FieldSet | undefined = fields;
  for (const key of keys) {
    at = at[key];
    if (at === undefined) return false;
    // A field that is held whole holds what is in it.
    if (Object.keys(at).length === 0) return true;
  }
  return true;
}

function entriesOf(managed: readonly unknown[] | undefined): readonly Entry[] {
  return (managed ?? []).filter(
    (each): each is Entry => isRecord(each) && typeof each.manager === 'string' && typeof each.operation === 'string',
  );
}

function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
