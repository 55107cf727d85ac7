import type { Command } from 'commander';
import { type Graph, type Label, loadTargets, loadWorkspaceGraph, targetsMatching } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { here } from '../../workspace.ts';
import { type KeepGoing, queryOptions, withKeepGoing } from './keep-going.ts';
import { levelCount, printLabels, type Selection, withSelection } from './selection.ts';

type Walk = (graph: Graph, labels: readonly Label[], levels?: number) => Label[];

/**
 * A query that walks along dependencies in one direction.
 *
 * @param reach what has to be loaded: all that the targets depend on, or the whole workspace
 */
export function defineWalk(command: Command, context: CommandContext, reach: 'down' | 'all', walk: Walk): void {
  withKeepGoing(
    withSelection(
      command.argument('<patterns...>').option('--levels <n>', 'how many steps; all unless told', levelCount),
    ),
  ).action(async (patterns: string[], options: Selection & KeepGoing & { levels?: number }) => {
    const { workspace, currentPackage } = await here();
    const load = async (): Promise<{ graph: Graph; labels: readonly Label[] }> => {
      if (reach === 'down')
        return loadTargets(workspace, patterns, { ...queryOptions(context, options), from: currentPackage });
      const graph = await loadWorkspaceGraph(workspace, queryOptions(context, options));
      return { graph, labels: targetsMatching(graph, patterns, currentPackage) };
    };
    const { graph, labels } = await load();
    printLabels(context, graph.targets, walk(graph, labels, options.levels), options);
  });
}
