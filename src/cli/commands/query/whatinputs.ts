import type { Command } from 'commander';
import { type Label, loadWorkspaceGraph, targetsReading } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { here } from '../../workspace.ts';
import { workspacePath } from './file-argument.ts';
import { type KeepGoing, queryOptions, withKeepGoing } from './keep-going.ts';
import { printLabels, type Selection, withSelection } from './selection.ts';

export function define(command: Command, context: CommandContext): void {
  withKeepGoing(
    withSelection(
      command
        .description('targets that take a file, or a folder around it, as a source, as data or as a tool')
        .argument('<files...>', 'paths from the current folder'),
    ),
  ).action(async (files: string[], options: Selection & KeepGoing) => {
    const { workspace, currentPackage } = await here();
    const paths = files.map((file) => workspacePath(workspace, currentPackage, file));
    const graph = await loadWorkspaceGraph(workspace, queryOptions(context, options));
    const labels = new Set<Label>();
    for (const path of paths) {
      const found = targetsReading(graph, path);
      // Files that a change deleted are asked for too, so that it is no error.
      if (found.length === 0 && graph.tree.kind(path) === undefined)
        context.progress.say(`note: there is no file ${path}`);
      for (const label of found) labels.add(label);
    }
    printLabels(context, graph.targets, [...labels].sort(), options);
  });
}
