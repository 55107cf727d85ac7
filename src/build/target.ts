import { declaredOutputs, type Input, type Inputs, type Label, type Target } from '../graph/index.ts';

/** Names of all outputs, each once, in order. An entry point in a folder is part of that. */
export const outputNames = declaredOutputs;

/** What is built lies below it. */
export const outputFolder = 'banksman-out';

/** Path of an output, or of anything in the package, below the workspace's or the output root. */
export function pathOf(target: Pick<Target, 'package'>, name: string): string {
  return target.package === '' ? name : `${target.package}/${name}`;
}

/** Inputs of the list and of all named groups, each once. */
export function allInputs(inputs: Inputs): readonly Input[] {
  const seen = new Map<string, Input>();
  for (const input of [...inputs.all, ...Object.values(inputs.named).flat()]) {
    const key = inputKey(input);
    if (!seen.has(key)) seen.set(key, input);
  }
  return [...seen.values()];
}

export function inputKey(input: Input): string {
  if (input.kind === 'file') return input.path;
  if (input.kind === 'system') return `system ${input.path}`;
  return input.kind === 'program' ? `program ${input.name}` : `${input.label}|${input.named ?? ''}`;
}

export function labelsIn(inputs: Inputs): Label[] {
  const labels = new Set<Label>();
  for (const input of allInputs(inputs)) if (input.kind === 'label') labels.add(input.label);
  return [...labels];
}
