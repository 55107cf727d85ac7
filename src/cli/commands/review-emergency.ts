import type { Command } from 'commander';
import { apiOf, type ServerChoice, servicePath, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly rollout?: string;
  readonly why?: string;
}

interface Emergency {
  readonly rollout: string;
  readonly by: string;
  readonly why: string;
  readonly startedAt: string;
  readonly review?: { readonly by: string; readonly at: string; readonly why: string };
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option('--rollout <id>', 'which one; the one that waits for a review, unless told')
    .option('--why <text>', 'what you found; emergencies are listed where it is left out')
    .addHelpText(
      'after',
      `
An emergency passes the gates with a reason. Within a day a second person looks at it and says so here; else later rollouts wait. Who
asked for it can not review it.

Examples:
  banksman review-emergency //bank/ledger --env prod
  banksman review-emergency //bank/ledger --env prod --why "the fix of ABC-12 alone, as it says"`,
    )
    .action(async (service: string, options: Options) => {
      const { terminal } = context;
      const call = apiOf(options, context);
      const path = await servicePath(service, options.env, context);
      const emergencies = (await call('GET', `${path}/emergencies`)) as readonly Emergency[];
      if (options.why === undefined) {
        for (const emergency of emergencies) terminal.print(lineOf(emergency));
        if (emergencies.length === 0) terminal.print('there was no emergency');
        return;
      }
      const rollout = options.rollout ?? onlyOpen(emergencies);
      await call('POST', `${path}/rollouts/${encodeURIComponent(rollout)}/review`, { why: options.why });
      terminal.print(`reviewed: ${rollout}`);
    });
}

function onlyOpen(emergencies: readonly Emergency[]): string {
  const open = emergencies.filter(({ review }) => review === undefined);
  const [first] = open;
  if (first !== undefined && open.length === 1) return first.rollout;
  throw new UsageFault(
    'cli/wrong-use',
    first === undefined ? 'no emergency waits for a review' : `${open.length} emergencies wait for a review`,
    { notes: open.map(lineOf), ...(first !== undefined && { next: 'name one with --rollout' }) },
  );
}

function lineOf({ rollout, by, why, startedAt, review }: Emergency): string {
  const seen = review === undefined ? 'not reviewed' : `reviewed by ${review.by} at ${review.at}: ${review.why}`;
  return `${rollout}  ${startedAt}  ${by}: ${why}  (${seen})`;
}
