import { outputNamesOf } from '../evaluate/output-names.ts';
import type { Graph } from '../load/load.ts';
import { childPath } from '../paths.ts';
import type { Input, Label, Target } from '../types.ts';

/** Targets that take a file, or a folder around it, as source, data or tool. Sorted. Paths count from the root. */
export function targetsReading(graph: Graph, path: string): Label[] {
  const reads = (input: Input) => input.kind === 'file' && (input.path === path || path.startsWith(`${input.path}/`));
  return labelsOf(
    graph,
    ({ srcs, data, tools, test }) =>
      srcs.all.some(reads) || data.all.some(reads) || tools.all.some(reads) || test?.tools.all.some(reads) === true,
  );
}

/** Targets that make a file, or a folder around it. Sorted. The path counts from the root of the outputs: `a/b/out.txt`. */
export function targetsMaking(graph: Graph, path: string): Label[] {
  const find = (label: Label) => graph.targets.get(label);
  return labelsOf(graph, (target) =>
    outputPaths(target, find).some((each) => each === path || path.startsWith(`${each}/`)),
  );
}

/** What a target puts below the root of the outputs. */
export function outputPaths(target: Target, find: (label: Label) => Target | undefined): string[] {
  return (outputNamesOf(find, target) ?? []).map((out) => childPath(target.package, out));
}

function labelsOf(graph: Graph, fits: (target: Target) => boolean): Label[] {
  const found: Label[] = [];
  for (const target of graph.targets.values()) if (fits(target)) found.push(target.label);
  return found.sort();
}
