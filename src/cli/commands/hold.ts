import type { Command } from 'commander';
import { apiOf, type ServerChoice, servicePath, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly why: string;
  readonly until?: string;
  readonly lift?: string;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .requiredOption('--why <reason>', 'why; it is shown to whoever asks')
    .option('--until <time>', 'when it ends by itself: 2026-01-05T09:00:00Z', moment)
    .option('--lift <hold>', 'end a hold, by its id')
    .addHelpText(
      'after',
      `
Pauses automatic rollouts of a service in an environment. What a person asks for goes on.

Examples:
  banksman hold //bank/ledger --env prod --why "looking at slow queries"
  banksman hold //bank/ledger --env prod --lift 5f0c2d1e --why "indexes are there"`,
    )
    .action(async (service: string, options: Options) => {
      const { terminal } = context;
      const { why, until, lift } = options;
      if (lift !== undefined && until !== undefined) {
        throw new UsageFault('cli/wrong-use', '--lift and --until exclude each other');
      }
      const call = apiOf(options, context);
      const path = `${await servicePath(service, options.env, context)}/holds`;
      if (lift !== undefined) {
        await call('POST', `${path}/${encodeURIComponent(lift)}/lift`, { why });
        return terminal.print('lifted');
      }
      const hold = (await call('POST', path, { why, ...(until !== undefined && { until }) })) as { id: string };
      terminal.print(`held: ${hold.id}`);
    });
}

function moment(text: string): string {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) && !Number.isNaN(Date.parse(text))) return new Date(text).toISOString();
  throw new UsageFault('cli/wrong-use', `--until takes a time such as 2026-01-05T09:00:00Z, not '${text}'`);
}
