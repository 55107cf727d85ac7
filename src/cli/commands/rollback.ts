import type { Command } from 'commander';
import { environmentOf, rollback, workspaceRegistries } from '../../release/index.ts';
import { apiOf, queryText, type ServerChoice, wantsServer, wholeLabel, withServerOption } from '../api.ts';
import { type ClusterChoice, reachCluster, withClusterOptions, withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { follow, placePath, requireHealthy } from '../follow.ts';
import { serviceNamed } from '../service.ts';
import { UsageFault } from '../usage.ts';
import { type ChangesView, changesLines } from '../views/changes.ts';
import { type RolloutView, shortRelease } from '../views/rollouts.ts';
import { report, watchRollout, wholeSeconds } from './deploy.ts';

interface Options extends ClusterChoice, ServerChoice {
  readonly env: string;
  readonly to?: string;
  readonly deadline?: number;
  readonly why?: string;
  readonly breakGlass?: string;
  readonly preview?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withClusterOptions(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger'))))
    .option('--to <release>', 'a release by its id or the beginning of it; the last good one unless told')
    .option('--deadline <seconds>', 'when a rollout that is not healthy counts as failed', wholeSeconds)
    .option(
      '--break-glass <reason>',
      "go on although images do not fulfil the environment's policy; kept in the history",
    )
    .option('--why <reason>', "for the server's record")
    .option('--preview', 'of a server: only show what it would change, object by object')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Applies a release again that was healthy before, exactly as it was: nothing is built. A server that is named, or that somebody signed in
to, does it, and holds automatic rollouts until the hold is lifted or a newer release comes; with --cluster it is done without one.

Examples:
  banksman rollback //bank/statements --env dev
  banksman history //bank/statements --env dev
  banksman rollback //bank/statements --env dev --to 3f9ac21b`,
    )
    .action(async (text: string, options: Options) => {
      if (await wantsServer(options)) return await throughServer(text, options, context);
      if (options.preview) {
        throw new UsageFault('cli/wrong-use', '--preview needs a server', { next: 'name one with --server' });
      }
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

async function throughServer(text: string, options: Options, context: CommandContext): Promise<void> {
  const { env: environment, to, why, json, deadline, breakGlass } = options;
  if (deadline !== undefined || breakGlass !== undefined) {
    const named = deadline === undefined ? '--break-glass' : '--deadline';
    throw new UsageFault('cli/wrong-use', `${named} is for a rollback without a server, which goes by banksman.yaml`, {
      next: 'leave it out, or give --cluster',
    });
  }
  if (options.preview) {
    const label = await wholeLabel(text, context);
    const asked = `${placePath(label, environment)}/preview${queryText({ release: to })}`;
    const changes = (await apiOf(options, context)('GET', asked)) as ChangesView;
    if (json) return context.terminal.print(JSON.stringify(changes, undefined, 2));
    for (const line of changesLines(changes, context.terminal.paint)) context.terminal.print(line);
    return;
  }
  if (why === undefined) {
    throw new UsageFault('cli/wrong-use', 'a rollback through the server needs --why', {
      next: 'say why; it is shown with the hold that keeps automatic rollouts away',
    });
  }
  const { terminal } = context;
  const call = apiOf(options, context);
  const service = await wholeLabel(text, context);
  const body = { ...(to !== undefined && { release: to }), why };
  const asked = (await call('POST', `${placePath(service, environment)}/rollbacks`, body)) as RolloutView;
  if (json) terminal.print(JSON.stringify(asked, undefined, 2));
  else terminal.print(`${service} goes back to release ${shortRelease(asked.release.id)} in ${environment}`);
  const wanted = [{ service, environment, rollout: asked.id }];
  requireHealthy(await follow(call, wanted, { ...context, quiet: json === true }), wanted);
}
