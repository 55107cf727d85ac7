import type { Node } from 'yaml';
import { isFault, nearest, type Place } from '../fault/index.ts';
import { type Label, parseLabel } from '../graph/index.ts';
import { ManifestFault, throwFirst } from './fault.ts';
import { imagePositions } from './images.ts';
import { type Adapted, adapt, checkPatches } from './patch/adapt.ts';
import { nodeAt, placeOf, readDocuments, type YamlDocument } from './read.ts';
import { readImageText } from './reference.ts';
import type { CheckedManifests, ManifestDocument, ManifestFile, ManifestObject, ManifestOptions } from './types.ts';

/** An image named by label, and where. */
export interface LabelledImage {
  readonly document: YamlDocument;
  readonly node: Node;
  readonly label: Label;
}

/**
 * Checks a service's manifests as far as that goes without a cluster.
 *
 * @throws ManifestFault: the first by place, with all others among its `others`
 */
export function checkManifests(files: readonly ManifestFile[], options: ManifestOptions): CheckedManifests {
  const { documents, images } = readManifests(files, options);
  const used = new Set(images.map(({ label }) => label));
  const warnings = options.containers
    .filter((label) => !used.has(label))
    .map(
      (label) =>
        new ManifestFault('manifest/unused-image', `${label} is listed in containers, but no manifest uses it`, {
          place: options.place,
          next: 'remove it from containers, or use it',
        }),
    );
  return { documents, images: [...used].sort(), warnings };
}

/** The same, with the nodes that rendering replaces. */
export function readManifests(
  files: readonly ManifestFile[],
  options: ManifestOptions,
): {
  readonly documents: readonly ManifestDocument[];
  readonly images: readonly LabelledImage[];
  readonly adapted: Adapted;
} {
  const faults: ManifestFault[] = [];
  const documents: ManifestDocument[] = [];
  const images: LabelledImage[] = [];
  const owners = new Map<string, Place>();
  const all: YamlDocument[] = [];
  for (const file of files) {
    const before = faults.length;
    const found = readDocuments(file, faults);
    if (found.length === 0 && faults.length === before) {
      faults.push(
        new ManifestFault('manifest/empty', `${file.path} holds no Kubernetes object`, {
          place: { file: file.path, line: 1, source: file.source },
          next: 'remove it from srcs, or write an object into it',
        }),
      );
    }
    all.push(...found);
  }
  const adapted = adapt(all, { parameters: options.parameters, patches: options.patches ?? [] }, faults);
  checkPatches(all, options.unappliedPatches ?? [], faults);
  for (const yaml of adapted.documents) {
    const document = toDocument(yaml, options, faults);
    images.push(...labelledImages(yaml, options, faults));
    if (document === undefined) continue;
    documents.push(document);
    const key = identity(document.object, options.namespace);
    const earlier = owners.get(key);
    if (earlier === undefined) owners.set(key, document.locate(['metadata', 'name']));
    else faults.push(duplicate(document, earlier));
  }
  throwFirst(faults);
  return { documents, images, adapted };
}

function toDocument(
  yaml: YamlDocument,
  options: ManifestOptions,
  faults: ManifestFault[],
): ManifestDocument | undefined {
  const before = faults.length;
  const locate = (path: readonly (string | number)[]) => placeOf(yaml, nodeAt(yaml, path));
  const { value } = yaml;
  const bad = (code: ManifestFault['code'], message: string, path: readonly (string | number)[], next?: string) =>
    faults.push(new ManifestFault(code, message, { place: locate(path), next }));
  if (!isRecord(value)) {
    bad('manifest/bad-field', 'a Kubernetes object is a map of fields', [], 'begin with apiVersion, kind and metadata');
    return undefined;
  }
  for (const field of ['apiVersion', 'kind'] as const) {
    if (value[field] === undefined) bad('manifest/missing-field', `the object has no ${field}`, [], `add ${field}`);
    else if (typeof value[field] !== 'string' || value[field] === '') {
      bad('manifest/bad-field', `${field} must be a text`, [field], 'put it into quotes');
    }
  }
  if (typeof value.kind === 'string' && Array.isArray(value.items) && value.kind.endsWith('List')) {
    bad(
      'manifest/list',
      `a ${value.kind} hides its objects from pruning and from error messages`,
      ['kind'],
      'write each of its items as a document of its own, with --- between them',
    );
    return undefined;
  }
  checkMetadata(value.metadata, options, bad);
  checkContainers(value, [], bad);
  if (faults.length > before) return undefined;
  return { object: value as unknown as ManifestObject, place: locate([]), locate };
}

type Report = (code: ManifestFault['code'], message: string, path: readonly (string | number)[], next?: string) => void;

function checkMetadata(metadata: unknown, options: ManifestOptions, bad: Report): void {
  if (!isRecord(metadata) || metadata.name === undefined) {
    const generated = isRecord(metadata) && metadata.generateName !== undefined;
    bad(
      'manifest/missing-field',
      generated ? 'generateName makes another object at each deploy' : 'the object has no metadata.name',
      ['metadata'],
      'give it a metadata.name',
    );
    return;
  }
  if (typeof metadata.name !== 'string' || metadata.name === '') {
    bad('manifest/bad-field', 'metadata.name must be a text', ['metadata', 'name'], 'put it into quotes');
  }
  const { namespace } = metadata;
  if (namespace !== undefined && options.namespace !== undefined && namespace !== options.namespace) {
    bad(
      'manifest/wrong-namespace',
      `the object says namespace ${String(namespace)}, but the environment's is ${options.namespace}`,
      ['metadata', 'namespace'],
      'leave the namespace out: the environment gives it',
    );
  }
  for (const field of ['labels', 'annotations']) {
    const entries = metadata[field];
    if (entries === undefined || entries === null) continue;
    if (!isRecord(entries)) bad('manifest/bad-field', `${field} must be a map`, ['metadata', field]);
    else {
      for (const [key, entry] of Object.entries(entries)) {
        if (typeof entry === 'string') continue;
        bad(
          'manifest/bad-field',
          `the value of ${key} must be a text, and ${JSON.stringify(entry)} is none`,
          ['metadata', field, key],
          `write "${String(entry)}"`,
        );
      }
    }
  }
}

/** `value: 8080` is the commonest mistake in manifests, and the API server's answer to it names a Go type. */
function checkContainers(value: unknown, path: readonly (string | number)[], bad: Report): void {
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      checkContainers(item, [...path, index], bad);
    });
    return;
  }
  if (!isRecord(value)) return;
  for (const [key, entry] of Object.entries(value)) {
    if (key === 'env' && Array.isArray(entry) && /ontainers$/.test(String(path.at(-2)))) {
      entry.forEach((variable: unknown, index) => {
        if (!isRecord(variable)) return;
        const { value: text } = variable;
        if (text === undefined || text === null || typeof text === 'string') return;
        bad(
          'manifest/bad-field',
          `the value of an environment variable must be a text, and ${JSON.stringify(text)} is none`,
          [...path, 'env', index, 'value'],
          `write "${String(text)}"`,
        );
      });
    } else if (typeof entry === 'object') checkContainers(entry, [...path, key], bad);
  }
}

function labelledImages(yaml: YamlDocument, options: ManifestOptions, faults: ManifestFault[]): LabelledImage[] {
  const images: LabelledImage[] = [];
  for (const { node, text } of imagePositions(yaml)) {
    const place = placeOf(yaml, node);
    const bad = (code: ManifestFault['code'], message: string, next?: string, cause?: unknown) =>
      faults.push(new ManifestFault(code, message, { place, next, cause }));
    const read = text === undefined ? ({ kind: 'neither' } as const) : readImageText(text);
    if (text === undefined || read.kind === 'neither') {
      bad(
        'manifest/bad-image',
        text === undefined
          ? 'image must be a text'
          : `${JSON.stringify(text)} is neither a label nor an image reference`,
        'name an image of this workspace by its label, //package:name, or another one as registry/repository:tag',
      );
      continue;
    }
    if (read.kind === 'reference') {
      if (!read.pinned) {
        bad(
          'manifest/unpinned-image',
          `${text} may be another image tomorrow`,
          'pin it by digest (name@sha256:...), or at least by a tag that does not move',
        );
      }
      continue;
    }
    let label: Label;
    try {
      label = parseLabel(text, options.package);
    } catch (cause) {
      if (!isFault(cause)) throw cause;
      bad('manifest/bad-image', cause.message, cause.next, cause);
      continue;
    }
    if (!options.containers.includes(label)) {
      const meant = nearest(label, options.containers);
      bad(
        'manifest/unlisted-image',
        `${label} is not among the containers of the k8s_config`,
        meant === undefined
          ? `add "${label}" to its containers`
          : `did you mean ${meant}? Else add "${label}" to containers`,
      );
      continue;
    }
    images.push({ document: yaml, node, label });
  }
  return images;
}

/** Kinds of one group are the same object at any version. */
function identity(object: ManifestObject, namespace: string | undefined): string {
  const group = object.apiVersion.includes('/') ? object.apiVersion.split('/')[0] : '';
  return [group, object.kind, object.metadata.namespace ?? namespace ?? '', object.metadata.name].join('\n');
}

function duplicate(document: ManifestDocument, earlier: Place): ManifestFault {
  const { kind, metadata } = document.object;
  return new ManifestFault('manifest/duplicate-object', `${kind} ${metadata.name} is written twice`, {
    place: document.locate(['metadata', 'name']),
    related: [{ message: 'it also stands here', place: earlier }],
    next: 'keep one of the two, or give one another name',
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
