import type { Command } from 'commander';
import {
  type Published,
  publishProofs,
  pushImages,
  requireProofSettings,
  signReference,
  workspaceRegistries,
} from '../../../release/index.ts';
import { withEnvironmentOption } from '../../cluster.ts';
import type { CommandContext } from '../../context.ts';
import {
  imageOfLabel,
  isLabel,
  registryFor,
  reviewsOf,
  signing,
  withCosign2Option,
  withKeyOption,
} from '../../proof.ts';
import { registriesHere } from '../../registries.ts';
import { count } from '../../views/count.ts';

interface Options {
  readonly env: string;
  readonly key?: string;
  readonly cosign2?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withCosign2Option(
    withKeyOption(withEnvironmentOption(command.argument('<image>', "a label, or an image's name in a registry"))),
  )
    .option('--json', 'print {reference, digest, sent} as JSON')
    .addHelpText(
      'after',
      `
States that an image is meant, and puts the signed statement beside it in the registry. A label is built and pushed first,
to the registry of the environment.

Examples:
  banksman image sign //bank/ledger:image --key ci.key
  banksman image sign registry.example/bank/ledger:c3823eb42513 --key env://SIGNING_KEY`,
    )
    .action(async (image: string, options: Options) => {
      const { key, cosign2 } = options;
      const published = isLabel(image)
        ? await publishLabel(image, 'signature', options, context)
        : await signReference(image, {
            settings: await requireProofSettings(signing(context, key, cosign2)),
            registry: await registryFor(image),
            registries: await registriesHere(),
            signal: context.signal,
          });
      tell(published, options, context);
    });
}

/** Builds, pushes and signs an image of the workspace. */
export async function publishLabel(
  label: string,
  say: 'signature' | 'all',
  { env, key, cosign2 }: Options,
  context: CommandContext,
): Promise<Published> {
  const { progress, signal } = context;
  // The key first: nothing is built where it does not open.
  const settings = await requireProofSettings(signing(context, key, cosign2));
  const { builder, image, reference } = await imageOfLabel(label, env, context);
  const registry = await registryFor(reference);
  const registries = await workspaceRegistries(builder.workspace);
  await pushImages([{ layout: image.layout, reference }], registry, { registries, progress, signal });
  const reviews = reviewsOf(builder.workspace.root, context);
  const options = { settings, reviews, builder, say, registry, registries, progress, signal };
  const [published] = await publishProofs([{ image, reference }], options);
  return published!;
}

export function tell({ reference, digest, sent }: Published, options: Options, { terminal }: CommandContext): void {
  if (options.json) {
    terminal.print(JSON.stringify({ reference, digest, sent }, undefined, 2));
    return;
  }
  const what = sent.length === 0 ? 'all of it was there' : `${count(sent.length, 'statement')} beside it`;
  terminal.print(`${terminal.paint.good('✓')} ${reference}  ${digest}  ${what}`);
}
