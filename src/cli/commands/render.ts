import type { Command } from 'commander';
import { createWorkspaceBuilder, environmentOf, findService, policyOf, renderService } from '../../release/index.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { registryFor } from '../proof.ts';
import { here } from '../workspace.ts';

export function define(command: Command, context: CommandContext): void {
  withEnvironmentOption(command.argument('<label>', 'a service: //bank/ledger'))
    .option('--break-glass <reason>', "go on although images do not fulfil the environment's policy")
    .addHelpText(
      'after',
      `
Builds the images that the manifests name, and prints the manifests with each label replaced by its image.
Comments are kept. Needs no cluster and no root. Where the environment has a policy, the images must be in its registry and
fulfil it, and are named with their digests.

Examples:
  banksman render //bank/ledger
  banksman render //bank/ledger --env dev | kubectl diff -f -`,
    )
    .action(async (label: string, options: { env: string; breakGlass?: string }) => {
      const { workspace, currentPackage } = await here();
      const environment = environmentOf(workspace, options.env);
      const builder = await createWorkspaceBuilder(workspace, {
        progress: context.progress,
        signal: context.signal,
        patterns: [label],
        from: currentPackage,
      });
      const service = findService(builder.services(), builder.labels[0] ?? label);
      const text = await renderService(builder, service.label, {
        environment,
        registry: policyOf(environment) === undefined ? undefined : await registryFor(`${environment.registry}/`),
        breakGlass: options.breakGlass,
        progress: context.progress,
        signal: context.signal,
      });
      context.terminal.clear();
      process.stdout.write(text);
    });
}
