import type { Command } from 'commander';
import { affectedSince } from '../../graph/index.ts';
import { createWorkspaceBuilder, environmentOf, makeReleases, openProofSettings } from '../../release/index.ts';
import { type ClusterChoice, reachCluster, withClusterOptions, withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { reviewsOf, signing } from '../proof.ts';
import { UsageFault } from '../usage.ts';
import { graphOptions, here } from '../workspace.ts';

interface Options extends ClusterChoice {
  readonly env: string;
  readonly since?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withClusterOptions(
    withEnvironmentOption(command.argument('[labels...]', 'services: //bank/ledger, //bank/...; all unless told')),
  )
    .option('--since <rev>', 'only of services that the change since this commit affects')
    .option('--json', 'print a JSON list of {service, release, reference}')
    .addHelpText(
      'after',
      `
A release holds a service's manifests as they are written, its images, and the commit with its people. It is kept in the
environment's registry, named by its content: the same commit gives the same release. With BANKSMAN_SIGNING_KEY set, images are signed as
'banksman image attest' does.

Examples:
  banksman release --since HEAD~1
  banksman release //bank/ledger --env staging`,
    )
    .action(async (labels: string[], options: Options) => {
      const { progress, signal, terminal } = context;
      const { workspace, currentPackage } = await here();
      const environment = environmentOf(workspace, options.env);
      const settings = await openProofSettings(signing(context));
      const builder = await createWorkspaceBuilder(workspace, {
        progress,
        signal,
        patterns: labels.length === 0 ? (environment.services ?? ['//...']) : labels,
        from: currentPackage,
      });
      const matched = new Set(builder.labels);
      let services = builder.services().filter(({ label }) => matched.has(label));
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
      terminal.clear();
      if (options.json) terminal.print(JSON.stringify(releases, undefined, 2));
      else for (const { service, reference } of releases) terminal.print(`${service}  ${reference}`);
      if (!options.json && releases.length === 0) progress.say('the change affects no service');
    });
}
