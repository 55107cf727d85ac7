import type { Command } from 'commander';
import { attachedBill, imageBill } from '../../../release/index.ts';
import type { CommandContext } from '../../context.ts';
import { imageOfLabel, isLabel, registryFor } from '../../proof.ts';
import { registriesHere } from '../../registries.ts';

export function define(command: Command, context: CommandContext): void {
  command
    .argument('<image>', "a label, or an image's name in a registry")
    .option('--policy <file>', 'of an image in a registry: only what a key signed that the policy takes for it')
    .addHelpText(
      'after',
      `
Prints the software bill of materials of an image: CycloneDX 1.6, JSON. Of a label it is made from what was built; of an
image in a registry it is what stands beside it.

Examples:
  banksman image sbom //bank/ledger:image > ledger.cdx.json
  banksman image sbom registry.example/bank/ledger:c3823eb42513 --policy policies/prod.yaml`,
    )
    .action(async (name: string, { policy }: { policy?: string }) => {
      const { terminal, progress, signal } = context;
      if (isLabel(name)) {
        const { builder, image } = await imageOfLabel(name, 'dev', context);
        return terminal.print(JSON.stringify(await imageBill(builder, image), undefined, 2));
      }
      if (policy === undefined)
        progress.say('warning: nobody has checked who says this; give --policy to have it checked');
      const reach = { registry: await registryFor(name), registries: await registriesHere() };
      const bill = await attachedBill({ reference: name, policy, ...reach, signal });
      terminal.print(JSON.stringify(bill, undefined, 2));
    });
}
