import type { Input, Label, Target } from '../types.ts';

/**
 * Names of a target's outputs, relative to its package, each once: in order; of one group as its sources say where it is a group of
 * files. Those that only a build knows are not among them. An entry point in a folder is part of that.
 *
 * @param named only the outputs of this name; undefined where there are none of it
 */
export function outputNamesOf(
  find: (label: Label) => Target | undefined,
  target: Target,
  named?: string,
  path: readonly Label[] = [],
): readonly string[] | undefined {
  if (target.action.kind !== 'filegroup') {
    return named === undefined ? declaredOutputs(target) : target.namedOuts[named]?.toSorted();
  }
  const inputs = named === undefined ? target.srcs.all : target.srcs.named[named];
  if (inputs === undefined) return named === undefined ? undefined : target.namedOuts[named];
  // A circle is a fault of its own.
  if (path.includes(target.label)) return [];
  const names = new Set(inputs.flatMap((input) => namesOfInput(find, target, input, [...path, target.label])));
  return named === undefined ? [...names].sort() : [...names];
}

function namesOfInput(
  find: (label: Label) => Target | undefined,
  target: Target,
  input: Input,
  path: readonly Label[],
): readonly string[] {
  if (input.kind === 'file') return [nameIn(target.package, input.path)];
  const other = input.kind === 'label' && find(input.label);
  return (other && input.kind === 'label' && outputNamesOf(find, other, input.named, path)) || [];
}

/** Names of outputs, or of sources of a group of files, that can be taken alone: `//a:b|name`. */
export function groupNames({ action, namedOuts, srcs }: Target): string[] {
  const groups = Object.keys(namedOuts);
  return action.kind === 'filegroup' ? [...new Set([...groups, ...Object.keys(srcs.named)])] : groups;
}

/** A path below the root, as its package has it. */
export function nameIn(packageName: string, path: string): string {
  return packageName === '' ? path : path.slice(packageName.length + 1);
}

/** Names of all outputs that a rule declares, in order: `outs`, and those that only a named group has. */
export function declaredOutputs({ outs, namedOuts, entryPoints, outputDirs }: Target): string[] {
  const names = [...new Set([...outs, ...Object.values(namedOuts).flat()])].sort();
  if (entryPoints === undefined) return names;
  // Behind `output_dirs` it may be a file that is not known before.
  const points = new Set(outputDirs === undefined ? [] : Object.values(entryPoints));
  return names.filter(
    (name) => outs.includes(name) || !(points.has(name) || outs.some((out) => name.startsWith(`${out}/`))),
  );
}
