import type { Command } from 'commander';
import {
  type Graph,
  type Label,
  type LoadOptions,
  loadTargets,
  loadWorkspaceGraph,
  type Workspace,
} from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { here } from '../../workspace.ts';
import { type KeepGoing, queryOptions, withKeepGoing } from './keep-going.ts';
import { printLabels, type Selection, withSelection } from './selection.ts';

export function define(command: Command, context: CommandContext): void {
  withKeepGoing(withSelection(command.argument('<patterns...>'))).action(
    async (patterns: string[], options: Selection & KeepGoing) => {
      const { workspace, currentPackage } = await here();
      const { graph, labels } = patterns.includes('//...')
        ? await everything(workspace, queryOptions(context, options))
        : await loadTargets(workspace, patterns, { ...queryOptions(context, options), from: currentPackage });
      printLabels(context, graph.targets, [...labels].sort(), options);
    },
  );
}

async function everything(
  workspace: Workspace,
  options: LoadOptions,
): Promise<{ graph: Graph; labels: readonly Label[] }> {
  const graph = await loadWorkspaceGraph(workspace, options);
  return { graph, labels: [...graph.targets.keys()] };
}
