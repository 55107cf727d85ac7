import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { type Label, splitLabel } from '../../graph/index.ts';
import {
  applySetId,
  type Cluster,
  createObject,
  getObject,
  idLabel,
  isKubeFault,
  type KubeObject,
  kindsAnnotation,
  type ObjectName,
  replaceObject,
  toolingAnnotation,
} from '../../kube/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { Release, Rollout } from '../types.ts';
import { emptyRecord, lastRollout, type ServiceRecord } from './record.ts';
import type { ReleaseStore } from './store.ts';

/** Bytes of a compressed record. A Secret holds 1 MiB, and base64 and the object's other fields take their part. */
const maximumBytes = 700 * 1024;
/** Bytes of a record unpacked: what a hostile one may take of our memory. */
const maximumUnpacked = 64 * 1024 * 1024;
const tries = 12;

/**
 * Records in the environment's own namespace: one Secret for each service, so that any machine which may deploy the service can
 * roll it back too. A Secret, since manifests may hold some. It is the parent of the service's ApplySet as well.
 */
export function createClusterStore(
  cluster: Cluster,
  namespace: string,
  written: WrittenRecords = rememberRecords(),
): ReleaseStore {
  const fetch = async (service: Label) => {
    const object = await getObject(cluster, recordName(service, namespace));
    const record = object === undefined ? emptyRecord(service) : await unpack(object, service);
    return { version: object?.metadata.resourceVersion, record };
  };
  const guess = async (service: Label, isNew: boolean) => {
    const known = written.get(service);
    if (known !== undefined) return known;
    return isNew ? { version: undefined, record: emptyRecord(service) } : await fetch(service);
  };
  return {
    async read(service) {
      const found = await fetch(service);
      written.keep(service, found);
      return found.record;
    },
    async update(service, change, isNew = false) {
      for (let attempt = 1; ; attempt++) {
        const { version, record } = attempt === 1 ? await guess(service, isNew) : await fetch(service);
        const changed = change(record);
        const next = await pack(changed, namespace, version);
        written.forget(service);
        try {
          const now = version === undefined ? await createObject(cluster, next) : await replaceObject(cluster, next);
          written.keep(service, { version: now.metadata.resourceVersion, record: changed });
          return changed;
        } catch (error) {
          if (!isKubeFault(error, 'kube/changed', 'kube/already-exists', 'kube/not-found') || attempt === tries)
            throw error;
          // Writers that met once should not meet again.
          await sleep(Math.random() * 50 * attempt);
        }
      }
    },
  };
}

/** A record and its object's resourceVersion; undefined where there is none yet. */
export interface WrittenRecord {
  readonly version: string | undefined;
  readonly record: ServiceRecord;
}

/** Records as they were written last: most often they are so still, and their versions tell whether they are. */
export interface WrittenRecords {
  get(service: Label): WrittenRecord | undefined;
  keep(service: Label, written: WrittenRecord): void;
  forget(service: Label): void;
}

/** Characters of manifests in records that are remembered. */
const remembered = 8 * 1024 * 1024;

/** Remembers the records of one namespace, those that were written last, up to a bound of memory. */
export function rememberRecords(): WrittenRecords {
  const records = new Map<Label, WrittenRecord>();
  let size = 0;
  const forget = (service: Label) => {
    const known = records.get(service);
    if (known === undefined) return;
    size -= sizeOf(known);
    records.delete(service);
  };
  return {
    get: (service) => records.get(service),
    keep(service, written) {
      forget(service);
      records.set(service, written);
      size += sizeOf(written);
      for (const [oldest] of records) {
        if (size <= remembered) break;
        forget(oldest);
      }
    },
    forget,
  };
}

function sizeOf({ record }: WrittenRecord): number {
  return record.releases.reduce((sum, { manifests }) => sum + manifests.length, 0);
}

/** The object that holds a service's record. Labels are not names of objects: a hash keeps two of them apart. */
export function recordName(service: Label, namespace: string): ObjectName {
  const plain = splitLabel(service)
    .name.toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  const hash = createHash('sha256').update(service).digest('hex').slice(0, 8);
  const name = `banksman-release-history.${plain === '' ? 'service' : plain}-${hash}`;
  return { apiVersion: 'v1', kind: 'Secret', namespace, name };
}

/** The id of a service's ApplySet: the label of all its objects. */
export function serviceSetId(service: Label, namespace: string): string {
  return applySetId(recordName(service, namespace));
}

async function pack(
  record: ServiceRecord,
  namespace: string,
  resourceVersion: string | undefined,
): Promise<KubeObject> {
  const { apiVersion, kind, name } = recordName(record.service, namespace);
  const data = await compress(record);
  return {
    apiVersion,
    kind,
    type: 'banksman.local/release-history',
    metadata: {
      name,
      namespace,
      ...(resourceVersion !== undefined && { resourceVersion }),
      labels: {
        'app.kubernetes.io/managed-by': 'banksman',
        [idLabel]: serviceSetId(record.service, namespace),
      },
      annotations: {
        'banksman.local/service': record.service,
        [toolingAnnotation]: 'banksman/v1',
        [kindsAnnotation]: record.kinds.join(','),
      },
    },
    data: { record: data.toString('base64') },
  };
}

/** Old releases lose their place before a record becomes too large to write. */
async function compress(record: ServiceRecord): Promise<Buffer> {
  for (let dropped = 0; ; dropped++) {
    const applied = lastRollout(record)?.release;
    const removable = record.releases.filter(({ id }) => id !== applied);
    const gone = new Set(removable.slice(0, dropped).map(({ id }) => id));
    const smaller = { ...record, releases: record.releases.filter(({ id }) => !gone.has(id)) };
    const bytes = await promisify(gzip)(JSON.stringify({ format: 1, ...smaller }));
    if (bytes.length <= maximumBytes) return bytes;
    if (dropped >= removable.length) {
      throw new ReleaseFault(
        'release/record-too-large',
        `the manifests of ${record.service} are ${bytes.length} bytes compressed, too large to be remembered`,
        { next: `bring them below ${maximumBytes} bytes: large files belong into the image` },
      );
    }
  }
}

async function unpack(object: KubeObject, service: Label): Promise<ServiceRecord> {
  const bad = (what: string, cause?: unknown) =>
    new ReleaseFault('release/bad-record', `Secret ${object.metadata.name} holds no release history: ${what}`, {
      next: 'restore it from a backup; without it there is no rollback, and deleting it begins a new history',
      cause,
    });
  const packed = (object.data as { record?: unknown } | undefined)?.record;
  if (typeof packed !== 'string') throw bad('it has no record');
  let value: unknown;
  try {
    const bytes = await promisify(gunzip)(Buffer.from(packed, 'base64'), { maxOutputLength: maximumUnpacked });
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw bad('it is damaged', cause);
  }
  if (!isRecord(value)) throw bad('it is no object');
  if (value.format !== 1) throw bad(`its format is ${String(value.format)}; a newer banksman wrote it`);
  if (value.service !== service) throw bad(`it is that of ${String(value.service)}`);
  const { releases, rollouts, kinds, lease } = value;
  if (!Array.isArray(releases) || !releases.every(isRelease)) throw bad('a release is not in its form');
  if (!Array.isArray(rollouts) || !rollouts.every(isRollout)) throw bad('a rollout is not in its form');
  if (!Array.isArray(kinds) || !kinds.every(isText)) throw bad('kinds is not a list of texts');
  if (lease !== undefined && !(isRecord(lease) && isText(lease.holder) && isText(lease.until))) {
    throw bad('the lease is not in its form');
  }
  return { service, releases, rollouts, kinds, lease: lease as ServiceRecord['lease'] };
}

function isRelease(value: unknown): value is Release {
  if (!isRecord(value) || !isRecord(value.origin)) return false;
  const { id, service, manifests, images, origin, createdAt } = value;
  return (
    [id, service, manifests, createdAt].every(isText) &&
    typeof origin.dirty === 'boolean' &&
    Array.isArray(images) &&
    images.every((image) => isRecord(image) && [image.label, image.reference, image.digest].every(isText))
  );
}

function isRollout(value: unknown): value is Rollout {
  if (!isRecord(value)) return false;
  const { id, release, kind, by, startedAt, result } = value;
  return (
    [id, release, by, startedAt].every(isText) &&
    (kind === 'deploy' || kind === 'rollback' || kind === 'removal') &&
    ['progressing', 'healthy', 'removed', 'failed', 'superseded'].includes(String(result))
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
