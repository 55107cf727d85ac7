import { createHash } from 'node:crypto';
import type { Database } from '../../database/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import type { KubeObject } from '../../kube/index.ts';
import { mostTogether, together } from '../placement/index.ts';
import { type DriftedObject, objectKey } from './types.ts';

/** What an object was like when it was applied, or compared with its release. */
export interface Mark {
  /** Sum of what was applied or compared: `contentOf`. */
  readonly content: string;
  /** As `markOf` gives it; undefined where the object was not there. */
  readonly mark: string | undefined;
  /** Its resourceVersion. */
  readonly version: string | undefined;
  /** Our manager held each field that the release sets: whoever changes one has to take it from us, and that shows. */
  readonly held: boolean;
  /** How it differed; undefined where it was as the release says. */
  readonly drift: DriftedObject | undefined;
}

export interface ObjectRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

/** What is known of all objects of a release in a place. */
export interface MarkSet {
  /** As `basisOf` gives it: what the objects were rendered from. */
  readonly basis: string;
  /** All that there are. */
  readonly objects: readonly ObjectRef[];
  /** By `objectKey`; those that were never compared are missing. */
  readonly marks: ReadonlyMap<string, Mark>;
}

/**
 * What objects were like when they were found to be as their releases say. It says only what was once seen: whoever goes by it holds it
 * against how an object is now. It is kept in the database, so that a server that takes over need not compare everything anew; what is lost
 * of it is compared again.
 */
export interface Marks {
  /** Reads what earlier servers have written; what was set meanwhile stays. */
  load(): Promise<void>;
  get(service: Label, environment: string): MarkSet | undefined;
  set(service: Label, environment: string, set: MarkSet): void;
}

export function openMarks(database: Database, onError: (error: unknown, about: string) => void): Marks {
  const sets = new Map<string, MarkSet>();
  const key = (service: Label, environment: string) => `${environment} ${service}`;
  const write = together(async (rows: readonly Row[]) => {
    // The newest of each.
    const newest = new Map(rows.map((row) => [key(row.service, row.environment), row]));
    await database.query(
      `INSERT INTO object_marks (service, environment, body)
       SELECT service, environment, body FROM unnest($1::text[], $2::text[], $3::text[]) AS row (service, environment, body)
       ON CONFLICT (service, environment) DO UPDATE SET body = excluded.body`,
      [
        [...newest.values()].map(({ service }) => service),
        [...newest.values()].map(({ environment }) => environment),
        [...newest.values()].map(({ body }) => body),
      ],
    );
    return rows.map(() => ({ value: undefined }));
  }, mostTogether);
  return {
    async load() {
      const rows = await database.query<Row>('SELECT service, environment, body FROM object_marks');
      for (const { service, environment, body } of rows) {
        if (!sets.has(key(service, environment))) sets.set(key(service, environment), unpack(body));
      }
    },
    get: (service, environment) => sets.get(key(service, environment)),
    set(service, environment, set) {
      sets.set(key(service, environment), set);
      write({ service, environment, body: pack(set) }).catch((error: unknown) =>
        onError(error, `what is known of the objects of ${service} in ${environment}`),
      );
    },
  };
}

interface Row {
  readonly service: Label;
  readonly environment: string;
  readonly body: string;
}

/** Raised when a release is rendered otherwise than by the versions before. */
const rendering = 1;

/** What a release's objects are rendered from in an environment. */
export function basisOf(
  release: string,
  { name, namespace, registry, parameters, patches, gates }: Environment,
): string {
  // With a policy, images are named by their digests.
  const hasPolicy = gates?.some(({ kind }) => kind === 'provenance') ?? false;
  return sumOf([rendering, release, name, namespace, registry, parameters, patches, hasPolicy]);
}

/** @param object with its mark of the ApplySet */
export function contentOf(object: KubeObject): string {
  return sumOf(object);
}

function sumOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22);
}

/** Drift is not kept, and nothing of Secrets: a short one could be guessed from its sum. */
function pack({ basis, objects, marks }: MarkSet): string {
  const rows = objects.map(({ apiVersion, kind, name }) => {
    const known = marks.get(objectKey({ apiVersion, kind }, name));
    if (known === undefined || known.drift !== undefined || kind === 'Secret') return [apiVersion, kind, name];
    return [apiVersion, kind, name, known.content, known.mark, known.version, known.held];
  });
  return JSON.stringify({ basis, objects: rows });
}

type Packed =
  | readonly [string, string, string]
  | readonly [string, string, string, string, string | null, string | null, boolean];

function unpack(body: string): MarkSet {
  const { basis, objects } = JSON.parse(body) as { readonly basis: string; readonly objects: readonly Packed[] };
  const marks = new Map<string, Mark>();
  const refs = objects.map(([apiVersion, kind, name, content, mark, version, held = false]) => {
    if (content !== undefined) {
      const key = objectKey({ apiVersion, kind }, name);
      marks.set(key, { content, mark: mark ?? undefined, version: version ?? undefined, held, drift: undefined });
    }
    return { apiVersion, kind, name };
  });
  return { basis, objects: refs, marks };
}
