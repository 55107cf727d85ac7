import type { Command } from 'commander';
import { affectedSince } from '../../graph/index.ts';
import {
  createWorkspaceBuilder,
  environmentOf,
  type MadeRelease,
  makeReleases,
  openProofSettings,
} from '../../release/index.ts';
import { type Api, apiAt, placeOf, type ServerChoice, withServerOption } from '../api.ts';
import { type ClusterChoice, localName, reachCluster, withClusterOptions, withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { type Followed, follow, promoteOnce, requireHealthy } from '../follow.ts';
import { reviewsOf, signing } from '../proof.ts';
import { isRefused, tellSighting } from '../sighting.ts';
import { UsageFault } from '../usage.ts';
import { graphOptions, here } from '../workspace.ts';

interface Options extends ClusterChoice, ServerChoice {
  readonly env: string;
  readonly promote?: boolean;
  readonly since?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(
    withClusterOptions(
      withEnvironmentOption(command.argument('[labels...]', 'services: //bank/ledger, //bank/...; all unless told')),
    ),
  )
    .option('--since <rev>', 'only of services that the change since this commit affects')
    .option('--promote', 'ask the server for each of them in the environment, and wait until they have ended')
    .option('--json', 'print a JSON list of {service, release, reference}')
    .addHelpText(
      'after',
      `
A release holds a service's manifests as they are written, its images, and the commit with its people. It is kept in the
environment's registry, named by its content: the same commit gives the same release. A server that there is a token for is told of it.
With BANKSMAN_SIGNING_KEY set, images are signed as
'banksman image attest' does.

Examples:
  banksman release --since HEAD~1
  banksman release --env dev --promote
  banksman release //bank/ledger --env staging`,
    )
    .action(async (labels: string[], options: Options) => {
      const { progress, signal, terminal } = context;
      const { workspace, currentPackage } = await here();
      const environment = environmentOf(workspace, options.env);
      const settings = await openProofSettings(signing(context));
      const patterns = labels.length === 0 ? (environment.services ?? ['//...']) : labels;
      const builder = await createWorkspaceBuilder(workspace, {
        progress,
        signal,
        patterns,
        from: currentPackage,
      });
      const matched = new Set(builder.labels);
      let services = builder.services().filter(({ label }) => matched.has(label));
      const found = new Set<string>(services.map(({ label }) => label));
      if (services.length === 0) {
        throw new UsageFault('cli/unknown-label', `no service matches ${labels.join(' ') || '//...'}`, {
          next: "see 'banksman query targets //... --services'",
        });
      }
      if (options.since !== undefined) {
        const { targets, note } = await affectedSince(workspace, { ...graphOptions(), since: options.since });
        if (note !== undefined) progress.say(`note: ${note}`);
        const affected = new Set(targets);
        services = services.filter(({ label }) => affected.has(label));
      }
      const cluster = await reachCluster(options, environment, { pushes: true });
      const releases = await makeReleases({
        builder,
        labels: services.map(({ label }) => label),
        environment,
        cluster,
        progress,
        proof: settings && { settings, reviews: reviewsOf(workspace.root, context) },
        signal,
      });
      const server = await placeOf(options.server, context, localName(options, environment));
      const call = apiAt(server, signal);
      if (server.token !== undefined || options.promote) {
        await tell(call, releases);
        await tellWhatIsGone(call, workspace.root, patterns, found, context);
      }
      terminal.clear();
      if (options.json) terminal.print(JSON.stringify(releases, undefined, 2));
      else for (const { service, reference } of releases) terminal.print(`${service}  ${reference}`);
      if (!options.json && releases.length === 0) progress.say('the change affects no service');
      if (options.promote)
        await promoteAll(call, releases, environment.name, { ...context, quiet: options.json === true });
    });
}

/** Makes releases known. One that is known already stays what it is. */
async function tell(call: Api, releases: readonly MadeRelease[]): Promise<void> {
  for (const { service, reference } of releases) {
    await call('POST', `/v1/services/${encodeURIComponent(service)}/releases`, { reference });
  }
}

/** What the workspace has no more is shown by the server from now on, and goes on as it is. */
async function tellWhatIsGone(
  call: Api,
  root: string,
  patterns: readonly string[],
  found: ReadonlySet<string>,
  { progress }: CommandContext,
): Promise<void> {
  if (!patterns.every((pattern) => pattern.startsWith('//'))) return;
  try {
    for (const service of await tellSighting(call, root, patterns, found)) {
      progress.say(
        `note: ${service} is not in the workspace any more; it goes on where it runs: banksman remove ${service}`,
      );
    }
  } catch (error) {
    if (!isRefused(error)) throw error;
    progress.say('note: who releases may not tell the server which services the workspace has no more');
  }
}

async function promoteAll(
  call: Api,
  releases: readonly MadeRelease[],
  environment: string,
  context: CommandContext & { readonly quiet: boolean },
): Promise<void> {
  const { terminal, quiet } = context;
  const wanted: Followed[] = [];
  for (const { service, release } of releases) {
    const asked = await promoteOnce(call, { service, environment, release }, undefined);
    if (asked !== undefined) wanted.push(asked);
    else if (!quiet) terminal.print(`= ${service}  is there already`);
  }
  requireHealthy(await follow(call, wanted, context), wanted);
}
