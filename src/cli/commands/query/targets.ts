import type { Command } from 'commander';
import { type Graph, type Label, loadTargets, loadWorkspaceGraph, type Workspace } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { graphOptions, here } from '../../workspace.ts';
import { printLabels, type Selection, withSelection } from './selection.ts';

export function define(command: Command, context: CommandContext): void {
  withSelection(command.argument('<patterns...>')).action(async (patterns: string[], options: Selection) => {
    const { workspace, currentPackage } = await here();
    const { graph, labels } = patterns.includes('//...')
      ? await everything(workspace)
      : await loadTargets(workspace, patterns, { ...graphOptions(), from: currentPackage });
    printLabels(context, graph.targets, [...labels].sort(), options);
  });
}

async function everything(workspace: Workspace): Promise<{ graph: Graph; labels: readonly Label[] }> {
  const graph = await loadWorkspaceGraph(workspace, graphOptions());
  return { graph, labels: [...graph.targets.keys()] };
}
