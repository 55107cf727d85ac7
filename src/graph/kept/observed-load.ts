import { type Progress, silent } from '../../progress/index.ts';
import type { PackageLoader } from '../evaluate/packages.ts';
import type { SourceTree } from '../files/tree.ts';
import { openObservedWorkTree, openWorkTree } from '../files/work-tree.ts';
import type { Graph, LoadOptions } from '../load/load.ts';
import type { Label, Workspace } from '../types.ts';
import { type Evaluated, findEvaluated, keepEvaluated, placeOf } from './kept-graph.ts';
import { setupOf } from './setup.ts';

/**
 * The whole graph of the work tree: as it was kept, where all that evaluation looked at is as it was, else evaluated and kept.
 *
 * @throws GraphFault | LanguageFault as loadGraph
 */
export async function loadObserved(workspace: Workspace, options: LoadOptions): Promise<Graph> {
  const requests = await openRequests(workspace, options);
  const found = await requests.find(everything);
  if (found !== undefined) return requests.graph(found);
  return requests.evaluate(everything, async (observing) => {
    const { evaluateGraph } = await import('../load/load.ts');
    const { graph, loader } = await evaluateGraph(workspace, observing);
    return { graph, loader, labels: [] };
  });
}

/** Only the work tree, for somebody who asks for it. */
export function isKept({ cache, tree, keepGoing }: LoadOptions): boolean {
  return cache !== undefined && tree === undefined && keepGoing === undefined;
}

/** What is asked for: the whole graph, or the package that patterns are relative to and the patterns. */
type Request = readonly string[] | typeof everything;
export const everything = 'everything';

export interface Requests {
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

export async function openRequests(workspace: Workspace, options: LoadOptions): Promise<Requests> {
  const { root } = workspace;
  const setup = setupOf(workspace, options);
  const place = (request: Request) => placeOf([root, setup, request]);
  const tree: SourceTree = openWorkTree(root);
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
        await keepEvaluated(place(request), {
          packages,
          targets,
          labels,
          said,
          plain: !loader.hasSubrepos,
          grows: graph.grow !== undefined,
          observed: observations,
        });
      }
      return graph;
    },
  };
}
