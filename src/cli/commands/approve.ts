import type { Command } from 'commander';
import { apiOf, type ServerChoice, servicePath, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly release: string;
  readonly withdraw?: boolean;
  readonly why?: string;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .requiredOption('--release <release>', 'the release, by its name or the beginning of it')
    .option('--withdraw', 'take an approval back')
    .option('--why <reason>', 'for the record')
    .addHelpText(
      'after',
      `
An approval is of one release in one environment: a new release has none. The author's own does not count.

Examples:
  banksman approve //bank/ledger --env prod --release 3f9ac21b`,
    )
    .action(async (service: string, options: Options) => {
      const { terminal } = context;
      const call = apiOf(options, context);
      const { release, withdraw, why } = options;
      const body = { release, ...(withdraw === true && { withdraw }), ...(why !== undefined && { why }) };
      await call('POST', `${await servicePath(service, options.env, context)}/approvals`, body);
      terminal.print(withdraw === true ? 'the approval is taken back' : 'approved');
    });
}
