import type { Command } from 'commander';
import { type Api, apiOf, queryText, type ServerChoice, wholeLabel, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { follow, placePath, requireHealthy } from '../follow.ts';
import { UsageFault } from '../usage.ts';
import { nameOf, type RemovalView, removalLines } from '../views/removal.ts';
import type { RolloutView } from '../views/rollouts.ts';
import { askYes, canAsk } from '../yes.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly why?: string;
  readonly delete?: readonly string[];
  readonly replacedBy?: string;
  readonly release?: string;
  readonly emergency?: string;
  readonly preview?: boolean;
  readonly yes?: boolean;
  readonly wait?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option('--why <reason>', 'for the record')
    .option('--replaced-by <service>', 'it has a new name: what it was goes once that one is healthy there')
    .option('--release <release>', 'the release of that one; what is healthy in the environment before unless told')
    .option(
      '--delete <object...>',
      'a namespace, volume, claim or definition that goes too: PersistentVolumeClaim/data',
    )
    .option('--emergency <reason>', 'pass by the gates; a second person has to review it afterwards')
    .option('--preview', 'only show what would go')
    .option('--yes', 'do not ask: what --preview shows is meant')
    .option('--wait', 'until it has ended; the exit code says whether it is gone')
    .option('--json', 'print the rollout, or the preview, as JSON')
    .addHelpText(
      'after',
      `
Asks the server to take a service out of an environment, after showing which objects go. It waits there for the gates of the
environment; nothing automatic brings the service in again until somebody promotes a release of it. Namespaces, volumes, their claims
and definitions stay, but for those that somebody says yes to, each by itself.

Examples:
  banksman remove //bank/statements --env dev --preview
  banksman remove //bank/statements --env dev --why "nobody uses it"
  banksman remove //bank/ledger --env prod --replaced-by //bank/core --why "renamed"
  banksman remove //bank/postgres --env dev --delete PersistentVolumeClaim/data-postgres-0 --why "moved" --yes`,
    )
    .action((service: string, options: Options) => run(service, options, context));
}

async function run(text: string, options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const { env: environment, why, emergency, release, json } = options;
  const service = await wholeLabel(text, context);
  const replacedBy = options.replacedBy === undefined ? undefined : await wholeLabel(options.replacedBy, context);
  if (release !== undefined && replacedBy === undefined) {
    throw new UsageFault('cli/wrong-use', '--release names a release of what takes the place', {
      next: 'give --replaced-by too, or leave it out',
    });
  }
  const call = apiOf(options, context);
  const path = placePath(service, environment);
  const preview = (await call('GET', `${path}/removal${queryText({ replacedBy, release })}`)) as RemovalView;
  const agreed = [...(options.delete ?? [])];
  if (options.preview) {
    if (json) return terminal.print(JSON.stringify(preview, undefined, 2));
    const shown = removalLines(preview, { service, environment, agreed }, terminal.paint);
    for (const line of shown) terminal.print(line);
    return;
  }
  if (why === undefined && emergency === undefined) {
    throw new UsageFault('cli/wrong-use', 'a removal needs --why', { next: 'say it for the record' });
  }
  if (!options.yes) await agree(preview, { service, environment, agreed }, context);
  const body = {
    why: why ?? emergency,
    ...(emergency !== undefined && { emergency }),
    ...(agreed.length > 0 && { deletes: agreed }),
    ...(replacedBy !== undefined && { replacedBy }),
    ...(release !== undefined && { release }),
  };
  const rollout = (await call('POST', `${path}/removals`, body)) as RolloutView;
  if (json) terminal.print(JSON.stringify(rollout, undefined, 2));
  else terminal.print(`rollout ${rollout.id} is ${rollout.state}`);
  if (options.wait) await waitFor(call, { service, environment, rollout: rollout.id }, context, json === true);
}

/** Shows what goes, and asks for it: once for all, and once for each thing that can't be brought back. */
async function agree(
  preview: RemovalView,
  about: { readonly service: string; readonly environment: string; readonly agreed: string[] },
  { terminal, progress, signal }: CommandContext,
): Promise<void> {
  const { service, environment, agreed } = about;
  for (const line of removalLines(preview, about, terminal.paint)) progress.say(line);
  if (!canAsk()) {
    throw new UsageFault('cli/wrong-use', `nobody said yes to the removal of ${service} from ${environment}`, {
      next: 'look at what --preview shows, and give --yes',
    });
  }
  for (const { loses, ...object } of preview.precious) {
    const name = nameOf(object);
    if (agreed.includes(name)) continue;
    if (await askYes(`delete ${name} too, with ${loses}?`, signal)) agreed.push(name);
  }
  if (await askYes(`take ${service} out of ${environment}?`, signal)) return;
  throw new UsageFault('cli/wrong-use', 'nothing was asked for', { next: 'answer y to go on' });
}

async function waitFor(
  call: Api,
  wanted: { readonly service: string; readonly environment: string; readonly rollout: string },
  context: CommandContext,
  quiet: boolean,
): Promise<void> {
  requireHealthy(await follow(call, [wanted], { ...context, quiet }), [wanted], 'removed');
}
