import type { Command } from 'commander';
import { apiOf, queryText, type ServerChoice, wholeLabel, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { follow, placePath, requireHealthy } from '../follow.ts';
import { UsageFault } from '../usage.ts';
import { type UsualRelease, usualRelease } from '../usual-release.ts';
import { type ChangesView, changesLines } from '../views/changes.ts';
import { shortRelease } from '../views/rollouts.ts';
import { askYes, canAsk } from '../yes.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly release?: string;
  readonly yes?: boolean;
  readonly why?: string;
  readonly emergency?: string;
  readonly preview?: boolean;
  readonly wait?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option(
      '--release <release>',
      'the release, by its name or the beginning of it; what is healthy in the environment before unless told',
    )
    .option('--yes', 'do not ask whether the release that nobody named is meant')
    .option('--why <reason>', 'for the record')
    .option('--emergency <reason>', 'pass by the gates; a second person has to review it afterwards')
    .option('--preview', 'only show what it would change, object by object')
    .option('--wait', 'until it has ended; the exit code says whether it is healthy')
    .option('--json', 'print the rollout as JSON')
    .addHelpText(
      'after',
      `
Asks the server for a release in an environment. It waits there for its gates; then the server applies it and watches it.

Examples:
  banksman promote //bank/ledger --env prod --why "new rates"
  banksman promote //bank/ledger --env prod --release 3f9ac21b --why "new rates"
  banksman promote //bank/ledger --env prod --release 3f9ac21b --preview
  banksman why //bank/ledger --env prod`,
    )
    .action(async (service: string, options: Options) => {
      const { terminal } = context;
      const call = apiOf(options, context);
      const { why, emergency } = options;
      const label = await wholeLabel(service, context);
      const at = placePath(label, options.env);
      const usual = options.release === undefined ? await usualRelease(call, label, options.env) : undefined;
      const release = options.release ?? usual?.id;
      if (usual !== undefined) context.progress.say(`${label}: ${usual.told}`);
      if (options.preview) {
        const asked = `${at}/preview${queryText({ release })}`;
        const changes = (await call('GET', asked)) as ChangesView;
        if (options.json) return terminal.print(JSON.stringify(changes, undefined, 2));
        for (const line of changesLines(changes, terminal.paint)) terminal.print(line);
        return;
      }
      if (usual !== undefined && !options.yes) await requireYes(label, options.env, usual, context);
      const body = { release, ...(why !== undefined && { why }), ...(emergency !== undefined && { emergency }) };
      const rollout = (await call('POST', `${at}/promotions`, body)) as { id: string; state: string };
      if (options.json) terminal.print(JSON.stringify(rollout, undefined, 2));
      else terminal.print(`rollout ${rollout.id} is ${rollout.state}`);
      if (!options.wait) return;
      const wanted = [{ service: label, environment: options.env, rollout: rollout.id }];
      requireHealthy(await follow(call, wanted, { ...context, quiet: options.json === true }), wanted);
    });
}

/** What nobody named is only meant once somebody says so. */
async function requireYes(
  service: string,
  environment: string,
  { id, told }: UsualRelease,
  { signal }: CommandContext,
): Promise<void> {
  if (!canAsk()) {
    throw new UsageFault('cli/wrong-use', `nobody named a release of ${service}, or said yes to ${told}`, {
      next: `give --yes, or --release ${shortRelease(id)}`,
    });
  }
  if (await askYes(`ask for it in ${environment}?`, signal)) return;
  throw new UsageFault('cli/wrong-use', 'nothing was asked for', { next: 'answer y to go on' });
}
