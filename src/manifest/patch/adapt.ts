import type { Json } from '../../graph/index.ts';
import { ManifestFault } from '../fault.ts';
import { readDocuments, type YamlDocument } from '../read.ts';
import type { ManifestFile } from '../types.ts';
import { kubernetesFields } from './fields.ts';
import { applyJsonPatch } from './json-patch.ts';
import { expandAliases } from './nodes.ts';
import { fillParameters } from './parameters.ts';
import { mergeStrategically } from './strategic.ts';
import { findTarget, identityOf, type Patch, readPatch } from './target.ts';

/** What makes a service's manifests those of one environment. */
export interface Adaptation {
  /** The environment's; undefined while none is known. */
  readonly parameters: Readonly<Record<string, Json>> | undefined;
  /** Patch files, in the order in which they are applied. */
  readonly patches: readonly ManifestFile[];
}

export interface Adapted {
  /** Without those that a patch deletes. */
  readonly documents: readonly YamlDocument[];
  /** Those that are not as they were written. */
  readonly changed: ReadonlySet<YamlDocument>;
  readonly deleted: ReadonlySet<YamlDocument>;
}

/**
 * Fills in parameters and applies patches, to the YAML nodes: every value keeps the place where it was written, in a manifest or in a
 * patch, and comments stay.
 *
 * @param faults what is wrong is added here
 */
export function adapt(
  documents: readonly YamlDocument[],
  { parameters, patches }: Adaptation,
  faults: ManifestFault[],
): Adapted {
  const changed = new Set<YamlDocument>();
  const deleted = new Set<YamlDocument>();
  for (const document of documents) {
    if (!fillParameters(document, parameters, faults)) continue;
    expandAliases(document);
    changed.add(document);
    refresh(document);
  }
  for (const patch of readPatches(patches, parameters, faults)) {
    const left = documents.filter((document) => !deleted.has(document));
    try {
      const target = findTarget(patch, left);
      if (!changed.has(target)) expandAliases(target);
      changed.add(target);
      if (applyPatch(target, patch)) deleted.add(target);
      refresh(target);
    } catch (error) {
      if (!(error instanceof ManifestFault)) throw error;
      faults.push(error);
    }
  }
  return { documents: documents.filter((document) => !deleted.has(document)), changed, deleted };
}

/** Checks patches as far as that goes without the others: their form, and that the objects are there. */
export function checkPatches(
  documents: readonly YamlDocument[],
  patches: readonly ManifestFile[],
  faults: ManifestFault[],
): void {
  for (const patch of readPatches(patches, undefined, faults)) {
    try {
      findTarget(patch, documents);
    } catch (error) {
      if (!(error instanceof ManifestFault)) throw error;
      faults.push(error);
    }
  }
}

function readPatches(
  files: readonly ManifestFile[],
  parameters: Adaptation['parameters'],
  faults: ManifestFault[],
): readonly Patch[] {
  return files.flatMap((file) => {
    const before = faults.length;
    const documents = readDocuments(file, faults);
    if (documents.length === 0 && faults.length === before) {
      faults.push(
        new ManifestFault('manifest/empty', `${file.path} holds no patch`, {
          place: { file: file.path, line: 1, source: file.source },
          next: 'remove it from patches, or write a patch into it',
        }),
      );
    }
    return documents.flatMap((document) => {
      fillParameters(document, parameters, faults);
      expandAliases(document);
      try {
        return [readPatch(document)];
      } catch (error) {
        if (!(error instanceof ManifestFault)) throw error;
        faults.push(error);
        return [];
      }
    });
  });
}

/** @returns whether the object is to be deleted */
function applyPatch(target: YamlDocument, { document, operations }: Patch): boolean {
  const { apiVersion, kind } = identityOf(target);
  const type = kubernetesFields().kind(apiVersion, kind);
  if (operations === undefined) return mergeStrategically(target, document, type);
  applyJsonPatch(target, document, operations, type);
  return false;
}

function refresh(document: YamlDocument): void {
  document.value = document.yaml.toJS({ maxAliasCount: 100 });
}
