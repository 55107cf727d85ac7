import { noInputs } from '../evaluate/no-inputs.ts';
import { labelOf } from '../names/label.ts';
import type { Target } from '../types.ts';

const none: readonly never[] = Object.freeze([]);
const noRecord = Object.freeze({});

/** What most targets leave as it is: not written, and put back when they are read. */
const defaultsBefore = {
  srcs: noInputs,
  tools: noInputs,
  data: noInputs,
  deps: none,
  exportedDeps: none,
  outs: none,
  namedOuts: noRecord,
} as const satisfies Partial<Target>;
/** The same, of what comes behind the action. */
const defaultsBehind = {
  env: noRecord,
  passEnv: none,
  labels: none,
  visibility: none,
  testOnly: false,
  binary: false,
  needsTransitiveDeps: false,
  outputIsComplete: false,
  requires: none,
  provides: noRecord,
  hashes: none,
  sandbox: true,
  timeout: undefined,
  test: undefined,
} as const satisfies Partial<Target>;
const defaults = { ...defaultsBefore, ...defaultsBehind };

/** A package's targets as a text. @throws Error for what is no plain data, which could not be read back */
export function encodeTargets(targets: Iterable<Target>, file: string): string {
  const list = [];
  for (const target of targets) {
    const written: Record<string, unknown> = {};
    for (const key of Object.keys(target)) {
      const value: unknown = target[key as keyof Target];
      if (typeof value === 'function' || value instanceof Map || value instanceof Set) {
        throw new Error(`${target.label} holds a ${typeof value} as ${key}`);
      }
      if (key === 'place' || key === 'label' || key === 'package' || isDefault(key, value)) continue;
      written[key] = value;
    }
    const { place } = target;
    if (target.label !== labelOf(target.package, target.name)) throw new Error(`${target.label} is named otherwise`);
    list.push([written, place.line, place.column, place.length, place.file === file ? null : place.file]);
  }
  return JSON.stringify(list);
}

function isDefault(key: string, value: unknown): boolean {
  if (!(key in defaults)) return value === undefined;
  const usual = defaults[key as keyof typeof defaults];
  if (value === usual) return true;
  if (typeof value !== 'object' || value === null) return false;
  if (usual === noInputs) return (value as Target['srcs']).all.length === 0 && isEmpty((value as Target['srcs']).named);
  return (usual === none || usual === noRecord) && isEmpty(value);
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false;
  return true;
}

type Written = [Partial<Target> & Pick<Target, 'name' | 'rule' | 'action'>, number?, number?, number?, string?];

/** @param source gives the text of a BUILD file, for the places of faults */
export function decodeTargets(
  text: string,
  packageName: string,
  file: string,
  source: (file: string) => string | undefined,
): Map<string, Target> {
  const targets = new Map<string, Target>();
  for (const [written, line, column, length, otherFile] of JSON.parse(text) as Written[]) {
    const at = otherFile ?? file;
    const place: Target['place'] = {
      file: at,
      ...(typeof line === 'number' && { line }),
      ...(typeof column === 'number' && { column }),
      ...(typeof length === 'number' && { length }),
      // Read only when a fault shows it.
      get source() {
        return source(at) ?? '';
      },
    };
    const { name, rule, description, action, ...others } = written;
    // The keys in the order that evaluation gives them: what is printed of a target must not tell how it was had.
    targets.set(name, {
      label: labelOf(packageName, name),
      package: packageName,
      name,
      rule,
      place,
      ...(description !== undefined && { description }),
      ...defaultsBefore,
      action,
      ...defaultsBehind,
      ...others,
    });
  }
  return targets;
}
