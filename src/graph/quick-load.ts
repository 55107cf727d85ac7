import { type Progress, silent } from '../progress/index.ts';
import { GraphFault } from './fault.ts';
import { type Evaluated, findEvaluated, keepEvaluated, placeOf } from './kept-graph.ts';
import { type LabelPattern, parsePattern, patternCoversPackage, splitLabel } from './label.ts';
import { keepsGraphs } from './large.ts';
import type { Graph, LoadOptions } from './load.ts';
import type { PackageLoader } from './packages.ts';
import { setupOf } from './setup.ts';
import type { SourceTree } from './tree.ts';
import type { Label, Workspace } from './types.ts';
import { openObservedWorkTree, openWorkTree } from './work-tree.ts';

/**
 * The whole graph, checked, for what needs no hashes.
 *
 * @throws GraphFault | LanguageFault as loadGraph
 */
export async function loadWorkspaceGraph(workspace: Workspace, options: LoadOptions): Promise<Graph> {
  if (!isKept(options)) return (await import('./load.ts')).loadGraph(workspace, options);
  if (keepsGraphs(workspace, options.cache)) {
    return (await (await import('./cached-load.ts')).loadWholeGraph(workspace, options)).graph;
  }
  const requests = await openRequests(workspace, options);
  const found = await requests.find(everything);
  if (found !== undefined) return requests.graph(found);
  return requests.evaluate(everything, async (observing) => {
    const { evaluateGraph } = await import('./load.ts');
    const { graph, loader } = await evaluateGraph(workspace, observing);
    return { graph, loader, labels: [] };
  });
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
  if (!isKept(options)) return (await import('./load.ts')).loadTargets(workspace, patterns, options);
  const { from = '' } = options;
  const requests = await openRequests(workspace, options);
  const whole = await requests.find(everything);
  const labels = whole && labelsIn(whole, patterns, from);
  if (labels !== undefined) return { graph: requests.graph(whole!), labels };
  const request = [from, ...patterns];
  const found = await requests.find(request);
  if (found !== undefined) return { graph: requests.graph(found), labels: found.labels };
  let selected: readonly Label[] = [];
  const graph = await requests.evaluate(request, async (observing) => {
    const { evaluateTargets } = await import('./load.ts');
    const evaluated = await evaluateTargets(workspace, patterns, { ...observing, from });
    selected = evaluated.labels;
    return evaluated;
  });
  return { graph, labels: selected };
}

/** Only the work tree of somebody who asks for it: builds need the functions that evaluation leaves. */
function isKept({ cache, tree }: LoadOptions): boolean {
  return cache !== undefined && tree === undefined;
}

/** What is asked for: the whole graph, or the package that patterns are relative to and the patterns. */
type Request = readonly string[] | typeof everything;
const everything = 'everything';

interface Requests {
  find(request: Request): Promise<Evaluated | undefined>;
  /** Says what BUILD files said. */
  graph(evaluated: Evaluated): Graph;
  evaluate(
    request: Request,
    body: (options: LoadOptions) => Promise<{
      readonly graph: Graph;
      readonly loader: PackageLoader;
      readonly labels: readonly Label[];
    }>,
  ): Promise<Graph>;
}

async function openRequests(workspace: Workspace, options: LoadOptions): Promise<Requests> {
  const { root } = workspace;
  const setup = setupOf(workspace, options);
  const place = (request: Request) => placeOf([root, setup, request]);
  const tree: SourceTree = await openWorkTree(root);
  return {
    find: (request) => findEvaluated(place(request), root, (file) => tree.read(file)?.toString('utf8')),
    graph({ packages, targets, said }) {
      for (const line of said) options.progress?.say(line);
      return { workspace, tree, packages, targets };
    },
    async evaluate(request, body) {
      const { tree, observed } = openObservedWorkTree(root);
      const said: string[] = [];
      const progress: Progress = {
        begin: (name) => (options.progress ?? silent).begin(name),
        say(line) {
          said.push(line);
          options.progress?.say(line);
        },
      };
      const { graph, loader, labels } = await body({ ...options, tree, progress });
      const { packages, targets } = graph;
      const observations = observed();
      // What a BUILD file asks of git, or has built, is more than the files of the work tree.
      if (observations !== undefined && !loader.usesHistory) {
        const outcome = { packages, targets, labels, said, plain: !loader.hasSubrepos, observed: observations };
        await keepEvaluated(place(request), outcome);
      }
      return graph;
    },
  };
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
