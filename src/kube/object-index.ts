import type { Kind, KubeObject } from './types.ts';

/** Objects of one namespace, found by name and by owner without a look at all the others. */
export interface ObjectIndex {
  /**
   * Objects of a kind.
   *
   * @param owner uid: only those that belong to it, by owner reference; of events those that are about it
   */
  list(kind: string, owner?: string): readonly KubeObject[];
  find(kind: Kind, name: string): KubeObject | undefined;
  put(object: KubeObject): void;
  remove(object: KubeObject): void;
  /** Takes these for all that there are of a kind. @returns what is new or gone by it */
  replace(kind: Kind, objects: readonly KubeObject[]): readonly KubeObject[];
  /** What a change of an object is a change of, too: itself, what an event is about, and all that own it, as `Kind/name`. */
  concerned(object: KubeObject): ReadonlySet<string>;
}

export function createObjectIndex(): ObjectIndex {
  const byKind = new Map<string, Map<string, KubeObject>>();
  /** By `Kind/name`. Kinds of two groups may be called alike. */
  const byName = new Map<string, Map<string, KubeObject>>();
  const byOwner = new Map<string, Map<string, KubeObject>>();

  const put = (given: KubeObject) => {
    const object = asKept(given);
    const id = identity(object);
    const before = byKind.get(object.kind)?.get(id);
    if (before !== undefined) remove(before);
    enter(byKind, object.kind, id, object);
    enter(byName, named(object), id, object);
    for (const owner of ownersOf(object)) enter(byOwner, owner, id, object);
  };
  const remove = (object: KubeObject) => {
    const id = identity(object);
    const held = byKind.get(object.kind)?.get(id);
    if (held === undefined) return;
    leave(byKind, held.kind, id);
    leave(byName, named(held), id);
    for (const owner of ownersOf(held)) leave(byOwner, owner, id);
  };
  return {
    list(kind, owner) {
      if (owner === undefined) return [...(byKind.get(kind)?.values() ?? [])];
      return [...(byOwner.get(owner)?.values() ?? [])].filter((object) => object.kind === kind);
    },
    find({ apiVersion, kind }, name) {
      const held = byName.get(`${kind}/${name}`);
      return held && [...held.values()].find((object) => object.apiVersion === apiVersion);
    },
    put,
    remove,
    replace({ apiVersion, kind }, objects) {
      const there = new Map(objects.map((object) => [identity(object), object]));
      const before = [...(byKind.get(kind)?.values() ?? [])].filter((object) => object.apiVersion === apiVersion);
      const versions = new Map(before.map((object) => [identity(object), object.metadata.resourceVersion]));
      const gone = before.filter((object) => !there.has(identity(object)));
      const changed = objects.filter(
        (object) =>
          !versions.has(identity(object)) || versions.get(identity(object)) !== object.metadata.resourceVersion,
      );
      gone.forEach(remove);
      changed.forEach(put);
      return [...gone, ...changed];
    },
    concerned(object) {
      const names = new Set<string>();
      const climb = (name: string) => {
        if (names.has(name)) return;
        names.add(name);
        for (const each of byName.get(name)?.values() ?? []) upwards(each);
      };
      const upwards = ({ metadata }: KubeObject) => {
        for (const owner of metadata.ownerReferences ?? []) climb(named({ kind: owner.kind, metadata: owner }));
      };
      climb(named(object));
      // It may be gone already.
      upwards(object);
      const subject = subjectOf(object);
      if (subject?.kind !== undefined && subject.name !== undefined) climb(`${subject.kind}/${subject.name}`);
      return names;
    },
  };
}

function enter(index: Map<string, Map<string, KubeObject>>, key: string, id: string, object: KubeObject): void {
  const held = index.get(key);
  if (held === undefined) index.set(key, new Map([[id, object]]));
  else held.set(id, object);
}

function leave(index: Map<string, Map<string, KubeObject>>, key: string, id: string): void {
  const held = index.get(key);
  held?.delete(id);
  if (held?.size === 0) index.delete(key);
}

/** Without the notes of who holds which field, which are half of an object and which nobody reads here. */
function asKept(object: KubeObject): KubeObject {
  const { managedFields, ...metadata } = object.metadata;
  return managedFields === undefined ? object : { ...object, metadata };
}

function identity({ metadata }: KubeObject): string {
  return metadata.uid ?? metadata.name;
}

function named({ kind, metadata }: { readonly kind: string; readonly metadata: { readonly name: string } }): string {
  return `${kind}/${metadata.name}`;
}

function ownersOf(object: KubeObject): readonly string[] {
  const owners = (object.metadata.ownerReferences ?? []).map(({ uid }) => uid);
  const subject = subjectOf(object)?.uid;
  return subject === undefined ? owners : [...owners, subject];
}

interface Subject {
  readonly kind?: string;
  readonly name?: string;
  readonly uid?: string;
}

/** What an event (v1) is about. */
function subjectOf({ kind, involvedObject }: KubeObject): Subject | undefined {
  return kind === 'Event' && typeof involvedObject === 'object' && involvedObject !== null
    ? (involvedObject as Subject)
    : undefined;
}
