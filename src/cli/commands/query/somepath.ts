import type { Command } from 'commander';
import { loadWorkspaceGraph, somePath, targetsMatching } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { here } from '../../workspace.ts';
import { type KeepGoing, queryOptions, withKeepGoing } from './keep-going.ts';

export function define(command: Command, context: CommandContext): void {
  withKeepGoing(command)
    .description('a shortest chain of dependencies from one target to another; exit code 1 where there is none')
    .argument('<from>', 'a label or pattern')
    .argument('<to>', 'a label or pattern')
    .option('--json', 'a JSON list of labels; empty where there is none')
    .action(async (from: string, to: string, options: KeepGoing & { json?: boolean }) => {
      const { workspace, currentPackage } = await here();
      const graph = await loadWorkspaceGraph(workspace, queryOptions(context, options));
      const labels = (text: string) => targetsMatching(graph, [text], currentPackage);
      const path = somePath(graph, labels(from), labels(to));
      if (options.json) context.terminal.print(JSON.stringify(path ?? [], undefined, 2));
      else if (path !== undefined) context.terminal.print(path.join('\n'));
      else context.progress.say(`${from} does not depend on ${to}`);
      // Over a part of the graph that is no answer.
      if (path === undefined) process.exitCode ??= 1;
    });
}
