import type { Label } from '../graph/index.ts';
import { ManifestFault } from './fault.ts';
import type { ManifestBundle, ManifestFile } from './types.ts';

/** The output of the builtin action `k8s_config`: the same bundle gives the same bytes. */
export function formatBundle(bundle: ManifestBundle): string {
  const { format, service, owner, kind, after, containers, files, patches } = bundle;
  const ordered = {
    format,
    service,
    ...(owner !== undefined && { owner }),
    ...(kind !== undefined && { kind }),
    ...(after !== undefined && { after: [...after].sort() }),
    containers: [...containers].sort(),
    files: files.map(plain),
    ...(patches !== undefined && {
      patches: Object.fromEntries(
        Object.entries(patches)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([set, each]) => [set, each.map(plain)]),
      ),
    }),
  };
  return `${JSON.stringify(ordered, null, 2)}\n`;
}

function plain({ path, source }: ManifestFile): ManifestFile {
  return { path, source };
}

/** @throws ManifestFault manifest/bad-bundle */
export function parseBundle(text: string, file: string): ManifestBundle {
  const bad = (what: string, cause?: unknown) =>
    new ManifestFault('manifest/bad-bundle', `${file} is not a bundle of manifests: ${what}`, {
      place: { file },
      next: 'build its target again',
      cause,
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad('it is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null) throw bad('it is no object');
  const { format, service, owner, kind, after, containers, files, patches } = value as Record<string, unknown>;
  if (format !== 1) throw bad(`its format is ${String(format)}, not 1`);
  if (!isLabel(service)) throw bad('service is not a label');
  if (owner !== undefined && typeof owner !== 'string') throw bad('owner is not a text');
  if (kind !== undefined && kind !== 'service' && kind !== 'infrastructure')
    throw bad('kind is not service or infrastructure');
  if (after !== undefined && !(Array.isArray(after) && after.every(isLabel)))
    throw bad('after is not a list of labels');
  if (!Array.isArray(containers) || !containers.every(isLabel)) throw bad('containers is not a list of labels');
  if (!Array.isArray(files) || !files.every(isFile)) throw bad('files is not a list of files');
  if (patches !== undefined && !isSets(patches)) throw bad('patches is not a map of lists of files');
  return {
    format,
    service,
    ...(owner !== undefined && { owner }),
    ...(kind !== undefined && { kind }),
    ...(after !== undefined && { after }),
    containers,
    files,
    ...(patches !== undefined && { patches }),
  };
}

function isLabel(value: unknown): value is Label {
  return typeof value === 'string' && value.startsWith('//');
}

function isFile(value: unknown): value is ManifestFile {
  if (typeof value !== 'object' || value === null) return false;
  const { path, source } = value as Record<string, unknown>;
  return typeof path === 'string' && typeof source === 'string';
}

function isSets(value: unknown): value is Record<string, ManifestFile[]> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((each) => Array.isArray(each) && each.every(isFile));
}
