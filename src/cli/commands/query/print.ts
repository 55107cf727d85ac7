import type { Command } from 'commander';
import { formatTarget, loadTargets, passesFilter } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { here } from '../../workspace.ts';
import { type KeepGoing, queryOptions, withKeepGoing } from './keep-going.ts';
import { targetJson } from './target-json.ts';

export function define(command: Command, context: CommandContext): void {
  withKeepGoing(command)
    .description('targets as calls of build_rule: what is left when all rules are evaluated')
    .argument('<patterns...>')
    .option('--include <label>', 'only targets with this label')
    .option('--exclude <label>', 'no targets with this label')
    .option('--json', 'a JSON list of targets')
    .action(async (patterns: string[], options: KeepGoing & { json?: boolean; include?: string; exclude?: string }) => {
      const { workspace, currentPackage } = await here();
      const { graph, labels } = await loadTargets(workspace, patterns, {
        ...queryOptions(context, options),
        from: currentPackage,
      });
      const filter = {
        include: options.include === undefined ? [] : [options.include],
        exclude: options.exclude === undefined ? [] : [options.exclude],
      };
      const targets = labels.map((label) => graph.targets.get(label)!).filter((target) => passesFilter(target, filter));
      if (options.json) context.terminal.print(JSON.stringify(targets.map(targetJson), undefined, 2));
      else context.terminal.print(targets.map(formatTarget).join('\n\n'));
    });
}
