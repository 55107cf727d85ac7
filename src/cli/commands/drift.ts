import type { Command } from 'commander';
import { apiOf, type ServerChoice, servicePath, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { type DriftAnswer, driftLines } from '../views/drift.ts';

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option('--json', 'print {mode, release, objects} as JSON')
    .addHelpText(
      'after',
      `
Shows what somebody changed by hand in a service's objects, field by field: what the release says (-), what is there (+), and
who holds the field now. Fields that the release does not set are nobody's business.

Examples:
  banksman drift //bank/ledger --env prod`,
    )
    .action(async (service: string, options: ServerChoice & { env: string; json?: boolean }) => {
      const { terminal } = context;
      const call = apiOf(options, context);
      const answer = (await call('GET', `${await servicePath(service, options.env, context)}/drift`)) as DriftAnswer;
      if (options.json) return terminal.print(JSON.stringify(answer, undefined, 2));
      for (const line of driftLines(answer, terminal.paint)) terminal.print(line);
    });
}
