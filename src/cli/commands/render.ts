import type { Command } from 'commander';
import { createWorkspaceBuilder, environmentOf, findService, renderService } from '../../release/index.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { here } from '../workspace.ts';

export function define(command: Command, context: CommandContext): void {
  withEnvironmentOption(command.argument('<label>', 'a service: //bank/ledger'))
    .addHelpText(
      'after',
      `
Builds the images that the manifests name, and prints the manifests with each label replaced by its image.
Comments are kept. Needs no cluster and no root.

Examples:
  banksman render //bank/ledger
  banksman render //bank/ledger --env dev | kubectl diff -f -`,
    )
    .action(async (label: string, options: { env: string }) => {
      const { workspace, currentPackage } = await here();
      const environment = environmentOf(workspace, options.env);
      const builder = await createWorkspaceBuilder(workspace, {
        progress: context.progress,
        signal: context.signal,
        patterns: [label],
        from: currentPackage,
      });
      const service = findService(builder.services(), builder.labels[0] ?? label);
      const text = await renderService(builder, service.label, { environment });
      context.terminal.clear();
      process.stdout.write(text);
    });
}
