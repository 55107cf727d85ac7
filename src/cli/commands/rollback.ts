import type { Command } from 'commander';
import { environmentOf, rollback, workspaceRegistries } from '../../release/index.ts';
import { type ClusterChoice, reachCluster, withClusterOptions, withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { serviceNamed } from '../service.ts';
import { report, watchRollout, wholeSeconds } from './deploy.ts';

interface Options extends ClusterChoice {
  readonly env: string;
  readonly to?: string;
  readonly deadline?: number;
  readonly breakGlass?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withClusterOptions(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option('--to <release>', 'a release by its id or the beginning of it; the last good one unless told')
    .option('--deadline <seconds>', 'when a rollout that is not healthy counts as failed', wholeSeconds)
    .option(
      '--break-glass <reason>',
      "go on although images do not fulfil the environment's policy; kept in the history",
    )
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Applies a release again that was healthy before, exactly as it was: nothing is built.

Examples:
  banksman rollback //bank/statements --env dev
  banksman history //bank/statements --env dev
  banksman rollback //bank/statements --env dev --to 3f9ac21b`,
    )
    .action(async (text: string, options: Options) => {
      const { workspace, service } = await serviceNamed(text, context);
      const environment = environmentOf(workspace, options.env);
      const cluster = await reachCluster(options, environment, { pushes: false });
      const result = await rollback({
        service,
        workspaceRoot: workspace.root,
        registries: await workspaceRegistries(workspace),
        breakGlass: options.breakGlass,
        environment,
        cluster,
        progress: context.progress,
        signal: context.signal,
        observe: watchRollout(context),
        ...(options.to !== undefined && { to: options.to }),
        ...(options.deadline !== undefined && { deadline: options.deadline }),
      });
      report([result], context, options);
    });
}
