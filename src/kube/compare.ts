import type { KubeObject } from './types.ts';

/**
 * Paths of the fields in which two states of an object differ, as far as anyone asked for them: the server's own notes
 * (managedFields, resourceVersion, generation) and the status are left out.
 */
export function differences(before: KubeObject, after: KubeObject): string[] {
  const found: string[] = [];
  compare(wanted(before), wanted(after), '', found);
  return found;
}

function wanted({ status: _, metadata, ...rest }: KubeObject): unknown {
  const { managedFields: _managed, resourceVersion: _version, generation: _generation, ...kept } = metadata;
  return { ...rest, metadata: kept };
}

function compare(before: unknown, after: unknown, path: string, found: string[]): void {
  if (Object.is(before, after)) return;
  if (Array.isArray(before) && Array.isArray(after)) {
    for (let index = 0; index < Math.max(before.length, after.length); index++) {
      compare(before[index], after[index], `${path}[${index}]`, found);
    }
  } else if (isRecord(before) && isRecord(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const step = /^[A-Za-z0-9]+$/.test(key) ? `${path === '' ? '' : '.'}${key}` : `[${key}]`;
      compare(before[key], after[key], path + step, found);
    }
  } else found.push(path);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
