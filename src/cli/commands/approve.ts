import type { Command } from 'commander';
import { type Api, apiOf, type ServerChoice, servicePath, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';
import type { RolloutView } from '../views/rollouts.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly release?: string;
  readonly removal?: boolean;
  readonly withdraw?: boolean;
  readonly why?: string;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option('--release <release>', 'the release, by its name or the beginning of it')
    .option('--removal', 'that the service goes out of the environment, as somebody has asked for')
    .option('--withdraw', 'take an approval back')
    .option('--why <reason>', 'for the record')
    .addHelpText(
      'after',
      `
An approval is of one release in one environment: a new release has none. The author's own does not count. That of a
removal is of that one removal, and who asked for it does not count.

Examples:
  banksman approve //bank/ledger --env prod --release 3f9ac21b
  banksman approve //bank/statements --env prod --removal`,
    )
    .action(async (service: string, options: Options) => {
      const { terminal } = context;
      const call = apiOf(options, context);
      const { withdraw, why } = options;
      const about = await wanted(service, options, call, context);
      const body = { ...about, ...(withdraw === true && { withdraw }), ...(why !== undefined && { why }) };
      await call('POST', `${await servicePath(service, options.env, context)}/approvals`, body);
      terminal.print(withdraw === true ? 'the approval is taken back' : 'approved');
    });
}

/** What is approved: a release that comes in, or the removal that waits. */
async function wanted(
  text: string,
  { env, release, removal }: Options,
  call: Api,
  context: CommandContext,
): Promise<{ readonly release: string; readonly rollout?: string }> {
  if ((release === undefined) === (removal !== true)) {
    throw new UsageFault('cli/wrong-use', 'an approval is of a release or of a removal', {
      next: 'give --release RELEASE, or --removal',
    });
  }
  if (release !== undefined) return { release };
  const path = await servicePath(text, env, context);
  const { rollouts } = (await call('GET', path)) as { readonly rollouts: readonly RolloutView[] };
  const waits = rollouts.find(({ kind, state }) => kind === 'removal' && (state === 'planned' || state === 'gated'));
  if (waits !== undefined) return { release: waits.release.id, rollout: waits.id };
  throw new UsageFault('cli/wrong-use', `no removal of ${text} waits in ${env}`, {
    next: `see what does: banksman rollouts --env ${env}`,
  });
}
