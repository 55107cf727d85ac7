import type { Command } from 'commander';
import { apiOf, type ServerChoice, wholeLabel, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { placePath } from '../follow.ts';
import { placementsIn } from '../placements.ts';
import { UsageFault } from '../usage.ts';
import { openLine } from '../views/placements.ts';
import type { RolloutView } from '../views/rollouts.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly why: string;
  readonly rollout?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .requiredOption('--why <reason>', 'for the record')
    .option('--rollout <id>', 'which one, where several are under way')
    .option('--json', 'print the rollout as JSON')
    .addHelpText(
      'after',
      `
Stops a rollout that waits or is under way. Where it has changed something, the environment goes back as after a failure.

Examples:
  banksman rollouts --env prod
  banksman cancel //bank/ledger --env prod --why "the wrong one"`,
    )
    .action(async (text: string, options: Options) => {
      const { terminal } = context;
      const call = apiOf(options, context);
      const service = await wholeLabel(text, context);
      const rollout = options.rollout ?? (await onlyRollout());
      const path = `${placePath(service, options.env)}/rollouts/${encodeURIComponent(rollout)}/cancel`;
      const cancelled = (await call('POST', path, { why: options.why })) as RolloutView;
      if (options.json) terminal.print(JSON.stringify(cancelled, undefined, 2));
      else terminal.print(`rollout ${cancelled.id} is ${cancelled.state}`);

      async function onlyRollout(): Promise<string> {
        const [found] = await placementsIn(call, options.env, { match: service, open: true });
        const [first, ...others] = found?.open ?? [];
        if (first !== undefined && others.length === 0) return first.rollout;
        const what = first === undefined ? 'no rollout' : `${others.length + 1} rollouts`;
        throw new UsageFault('cli/wrong-use', `${what} of ${service} under way in ${options.env}`, {
          notes: (found?.open ?? []).map((each) => openLine(each, terminal.paint)),
          next: first === undefined ? 'see all: banksman rollouts' : 'say which with --rollout',
        });
      }
    });
}
