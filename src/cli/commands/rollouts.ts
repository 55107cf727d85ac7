import type { Command } from 'commander';
import { apiOf, type ServerChoice, withServerOption } from '../api.ts';
import type { CommandContext } from '../context.ts';
import { placementsAnywhere } from '../placements.ts';
import { openLine } from '../views/placements.ts';

export function define(command: Command, context: CommandContext): void {
  withServerOption(command.option('--env <name>', 'only of this environment'))
    .option('--json', 'print a list of {environment, service, rollout} as JSON')
    .addHelpText(
      'after',
      `
Rollouts that are under way or wait, with the gates that they wait for.

Examples:
  banksman rollouts
  banksman why //bank/ledger --env prod`,
    )
    .action(async (options: ServerChoice & { env?: string; json?: boolean }) => {
      const { terminal } = context;
      const found = (await placementsAnywhere(apiOf(options, context), options.env, { open: true })).flatMap(
        ({ environment, placements }) =>
          placements.flatMap(({ service, open }) => open.map((rollout) => ({ environment, service, rollout }))),
      );
      if (options.json) return terminal.print(JSON.stringify(found, undefined, 2));
      if (found.length === 0) terminal.print('nothing is under way');
      for (const { environment, service, rollout } of found) {
        terminal.print(`${service} in ${environment}  ${openLine(rollout, terminal.paint)}`);
      }
    });
}
