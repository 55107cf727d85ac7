import type { Command } from 'commander';
import { withEnvironmentOption } from '../../cluster.ts';
import type { CommandContext } from '../../context.ts';
import { isLabel, withCosign2Option, withKeyOption } from '../../proof.ts';
import { UsageFault } from '../../usage.ts';
import { publishLabel, tell } from './sign.ts';

interface Options {
  readonly env: string;
  readonly key?: string;
  readonly cosign2?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withCosign2Option(withKeyOption(withEnvironmentOption(command.argument('<label>', 'an image of the workspace'))))
    .option('--json', 'print {reference, digest, sent} as JSON')
    .addHelpText(
      'after',
      `
Builds an image, pushes it to the registry of the environment, and puts beside it, signed: that it is meant, how it came to be
(SLSA provenance) and what is in it (CycloneDX). Signed reviews of the commit, in its git notes, are put beside it too.
BANKSMAN_BUILDER names the builder, BANKSMAN_INVOCATION the run. A deploy with BANKSMAN_SIGNING_KEY does the same.

Examples:
  banksman image attest //bank/ledger:image --key ci.key
  BANKSMAN_BUILDER=https://ci.example/builder banksman image attest //bank/ledger:image --env prod`,
    )
    .action(async (label: string, options: Options) => {
      if (!isLabel(label)) {
        throw new UsageFault(
          'cli/wrong-use',
          `${label} is no label: only who builds an image can say how it came to be`,
          {
            next: 'give the label of the image; `banksman image sign` signs what is in a registry',
          },
        );
      }
      tell(await publishLabel(label, 'all', options, context), options, context);
    });
}
