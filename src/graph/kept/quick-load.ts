import { GraphFault } from '../fault.ts';
import type { Graph, LoadOptions } from '../load/load.ts';
import { type LabelPattern, parsePattern, patternCoversPackage, splitLabel } from '../names/label.ts';
import type { Label, Workspace } from '../types.ts';
import type { Evaluated } from './kept-graph.ts';
import { keepsGraphs } from './large.ts';
import { everything, isKept, loadObserved, openRequests, type Requests } from './observed-load.ts';

/**
 * The whole graph, checked, for what needs no hashes.
 *
 * @throws GraphFault | LanguageFault as loadGraph
 */
export async function loadWorkspaceGraph(workspace: Workspace, options: LoadOptions): Promise<Graph> {
  if (!isKept(options)) return (await import('../load/load.ts')).loadGraph(workspace, options);
  if (keepsGraphs(workspace, options.cache)) {
    return (await (await import('./cached-load.ts')).loadWholeGraph(workspace, options)).graph;
  }
  return loadObserved(workspace, options);
}

/**
 * What the wanted targets reach, see `loadTargets` of `load`. Where the whole graph is at hand it is that: the targets are the same.
 *
 * @throws GraphFault | LanguageFault
 */
export async function loadTargets(
  workspace: Workspace,
  patterns: readonly string[],
  options: LoadOptions & { readonly from?: string },
): Promise<{ readonly graph: Graph; readonly labels: readonly Label[] }> {
  if (!isKept(options)) return (await import('../load/load.ts')).loadTargets(workspace, patterns, options);
  const { from = '' } = options;
  const requests = await openRequests(workspace, options);
  const whole = await requests.find(everything);
  const labels = whole && labelsIn(whole, patterns, from);
  if (labels !== undefined) return { graph: requests.graph(whole!), labels };
  const found = await requests.find([from, ...patterns]);
  if (found !== undefined) return { graph: requests.graph(found), labels: found.labels };
  return evaluatePart(requests, workspace, patterns, from);
}

/**
 * The same for a build: just what the wanted targets reach, and with the functions that follow builds, where there are any.
 *
 * @throws GraphFault | LanguageFault
 */
export async function loadForBuild(
  workspace: Workspace,
  patterns: readonly string[],
  options: LoadOptions & { readonly from?: string },
): Promise<{ readonly graph: Graph; readonly labels: readonly Label[] }> {
  if (!isKept(options)) return (await import('../load/load.ts')).loadTargets(workspace, patterns, options);
  const { from = '' } = options;
  const requests = await openRequests(workspace, options);
  const found = await requests.find([from, ...patterns]);
  if (found !== undefined && !found.grows) return { graph: requests.graph(found), labels: found.labels };
  return evaluatePart(requests, workspace, patterns, from);
}

async function evaluatePart(requests: Requests, workspace: Workspace, patterns: readonly string[], from: string) {
  const request = [from, ...patterns];
  let selected: readonly Label[] = [];
  const graph = await requests.evaluate(request, async (observing) => {
    const { evaluateTargets } = await import('../load/load.ts');
    const evaluated = await evaluateTargets(workspace, patterns, { ...observing, from });
    selected = evaluated.labels;
    return evaluated;
  });
  return { graph, labels: selected };
}

/** @returns undefined where evaluation has to say what the patterns mean, or what is wrong with them */
function labelsIn(
  { packages, targets, plain }: Evaluated,
  patterns: readonly string[],
  from: string,
): Label[] | undefined {
  if (!plain) return undefined;
  const labels = new Set<Label>();
  try {
    for (const text of patterns) {
      const found = matching({ packages, targets }, parsePattern(text, from));
      if (found === undefined) return undefined;
      for (const label of found) labels.add(label);
    }
  } catch (error) {
    if (error instanceof GraphFault) return undefined;
    throw error;
  }
  return [...labels];
}

function matching({ packages, targets }: Pick<Evaluated, 'packages' | 'targets'>, pattern: LabelPattern) {
  if (pattern.kind === 'target') return targets.has(pattern.label) ? [pattern.label] : undefined;
  const covered = new Set([...packages.keys()].filter((name) => patternCoversPackage(pattern, name)));
  if (covered.size === 0) return undefined;
  return [...targets.keys()].filter((label) => covered.has(splitLabel(label).package));
}
