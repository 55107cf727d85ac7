import type { Command } from 'commander';
import { affectedSince } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { graphOptions, here } from '../../workspace.ts';
import { printLabels, type Selection, withSelection } from './selection.ts';

export function define(command: Command, context: CommandContext): void {
  withSelection(
    command
      .description('targets that a change affects: exact, by comparing hashes, without touching the work tree')
      .requiredOption('--since <rev>', 'the commit to compare with: a branch, a tag, HEAD~1')
      .option('--to <rev>', 'the commit that holds the change; the work tree, dirty files included, unless told'),
  ).action(async (options: Selection & { since: string; to?: string }) => {
    const { workspace } = await here();
    const { since, to } = options;
    // Both sides are hashed on this machine: its tools make no difference between them that definitions don't.
    const result = await affectedSince(workspace, { ...graphOptions(), since, to });
    if (result.note !== undefined) context.progress.say(`note: ${result.note}`);
    printLabels(context, result.after, result.targets, options);
  });
}
