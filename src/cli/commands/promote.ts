import type { Command } from 'commander';
import { apiOf, queryText, type ServerChoice, servicePath, wholeLabel, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { follow, requireHealthy } from '../follow.ts';
import { type ChangesView, changesLines } from '../views/changes.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly release: string;
  readonly why?: string;
  readonly emergency?: string;
  readonly preview?: boolean;
  readonly wait?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .requiredOption('--release <release>', 'the release, by its name or the beginning of it')
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
  banksman promote //bank/ledger --env prod --release 3f9ac21b --why "new rates"
  banksman promote //bank/ledger --env prod --release 3f9ac21b --preview
  banksman why //bank/ledger --env prod`,
    )
    .action(async (service: string, options: Options) => {
      const { terminal } = context;
      const call = apiOf(options, context);
      const { release, why, emergency } = options;
      if (options.preview) {
        const asked = `${await servicePath(service, options.env, context)}/preview${queryText({ release })}`;
        const changes = (await call('GET', asked)) as ChangesView;
        if (options.json) return terminal.print(JSON.stringify(changes, undefined, 2));
        for (const line of changesLines(changes, terminal.paint)) terminal.print(line);
        return;
      }
      const body = { release, ...(why !== undefined && { why }), ...(emergency !== undefined && { emergency }) };
      const path = `${await servicePath(service, options.env, context)}/promotions`;
      const rollout = (await call('POST', path, body)) as { id: string; state: string };
      if (options.json) terminal.print(JSON.stringify(rollout, undefined, 2));
      else terminal.print(`rollout ${rollout.id} is ${rollout.state}`);
      if (!options.wait) return;
      const label = await wholeLabel(service, context);
      const wanted = [{ service: label, environment: options.env, rollout: rollout.id }];
      requireHealthy(await follow(call, wanted, { ...context, quiet: options.json === true }), wanted);
    });
}
