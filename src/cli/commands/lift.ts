import type { Command } from 'commander';
import { apiOf, type ServerChoice, wholeLabel, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { placePath } from '../follow.ts';
import { placementsIn } from '../placements.ts';
import { UsageFault } from '../usage.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly why: string;
  readonly hold?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .requiredOption('--why <reason>', 'for the record')
    .option('--hold <id>', 'only this one; every hold that is in force unless told')
    .option('--json', 'print the holds as JSON')
    .addHelpText(
      'after',
      `
Ends what holds automatic rollouts of a service in an environment.

Examples:
  banksman holds --env prod
  banksman lift //bank/ledger --env prod --why "the index is there"`,
    )
    .action(async (text: string, options: Options) => {
      const { terminal } = context;
      const call = apiOf(options, context);
      const service = await wholeLabel(text, context);
      const [found] = await placementsIn(call, options.env, { match: service, held: true });
      const ids = options.hold === undefined ? (found?.held ?? []).map(({ id }) => id) : [options.hold];
      if (ids.length === 0) {
        throw new UsageFault('cli/wrong-use', `nothing holds ${service} in ${options.env}`, {
          next: 'see what is held: banksman holds',
        });
      }
      const lifted: unknown[] = [];
      for (const id of ids) {
        const path = `${placePath(service, options.env)}/holds/${encodeURIComponent(id)}/lift`;
        lifted.push(await call('POST', path, { why: options.why }));
      }
      if (options.json) terminal.print(JSON.stringify(lifted, undefined, 2));
      else for (const id of ids) terminal.print(`lifted: ${id}`);
    });
}
