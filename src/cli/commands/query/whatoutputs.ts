import type { Command } from 'commander';
import { type Label, loadWorkspaceGraph, targetsMaking } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { here } from '../../workspace.ts';
import { workspacePath } from './file-argument.ts';
import { type KeepGoing, queryOptions, withKeepGoing } from './keep-going.ts';
import { printLabels, type Selection, withSelection } from './selection.ts';

export function define(command: Command, context: CommandContext): void {
  withKeepGoing(
    withSelection(
      command
        .description('targets that make a file, or a folder around it')
        .argument(
          '<files...>',
          'paths as they lie below banksman-out, or from the current folder as if they lay beside the sources',
        ),
    ),
  ).action(async (files: string[], options: Selection & KeepGoing) => {
    const { workspace, currentPackage } = await here();
    const paths = files.map((file) =>
      workspacePath(workspace, currentPackage, file).replace(/^banksman-out\/(gen|bin)\//, ''),
    );
    const graph = await loadWorkspaceGraph(workspace, queryOptions(context, options));
    const labels = new Set<Label>();
    for (const path of paths) {
      const found = targetsMaking(graph, path);
      if (found.length === 0) context.progress.say(`note: no target makes ${path}`);
      for (const label of found) labels.add(label);
    }
    printLabels(context, graph.targets, [...labels].sort(), options);
  });
}
