import type { Command } from 'commander';
import { apiOf, type ServerChoice, withServerOption } from '../api.ts';
import type { CommandContext } from '../context.ts';
import { placementsAnywhere } from '../placements.ts';
import { holdLine } from '../views/placements.ts';

export function define(command: Command, context: CommandContext): void {
  withServerOption(command.option('--env <name>', 'only of this environment'))
    .option('--json', 'print a list of {environment, service, hold} as JSON')
    .addHelpText(
      'after',
      `
Holds that are in force, with who holds what and why. A rollback holds what it left until that is lifted or a newer release passes.

Examples:
  banksman holds
  banksman lift //bank/ledger --env prod --why "fixed"`,
    )
    .action(async (options: ServerChoice & { env?: string; json?: boolean }) => {
      const { terminal } = context;
      const found = (await placementsAnywhere(apiOf(options, context), options.env, { held: true })).flatMap(
        ({ environment, placements }) =>
          placements.flatMap(({ service, held }) => held.map((hold) => ({ environment, service, hold }))),
      );
      if (options.json) return terminal.print(JSON.stringify(found, undefined, 2));
      if (found.length === 0) terminal.print('nothing is held');
      for (const { environment, service, hold } of found) {
        terminal.print(`${service} in ${environment}  ${holdLine(hold, terminal.paint)}`);
      }
    });
}
