import type { Command } from 'commander';
import { diffAll, type OpenImage, withImage } from '../../../release/index.ts';
import type { CommandContext } from '../../context.ts';
import { UsageFault } from '../../usage.ts';
import { differenceLines } from '../../views/image-difference.ts';
import { openOptions } from './open.ts';

interface Options {
  readonly since?: string;
  readonly json?: boolean;
  readonly exitCode?: boolean;
  readonly all?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument('<before>', 'a label, the folder of an OCI layout, or a name in a registry')
    .argument('[after]', 'another one')
    .option('--since <rev>', 'compare the label as it is now with what this commit makes of it')
    .option('--all', 'show every file that differs, however many')
    .option('--exit-code', 'end with 1 where they differ')
    .option('--json', 'print the differences as JSON')
    .addHelpText(
      'after',
      `
Files are compared as containers of the two images would see them. Layers that both have are not read.

Examples:
  banksman image diff //bank/ledger:image //bank/statements:image
  banksman image diff registry.local/bank/ledger:c3823eb42513 //bank/ledger:image
  banksman image diff //bank/ledger:image --since origin/main
  banksman image diff a.oci b.oci --exit-code

Exit codes: 0 done, 1 failed (with --exit-code also: they differ), 2 wrong use.`,
    )
    .action(async (first: string, second: string | undefined, options: Options) => {
      if ((second === undefined) === (options.since === undefined)) {
        throw new UsageFault('cli/wrong-use', 'diff compares two images, or one label with a commit', {
          next: 'give a second image, or --since REV',
        });
      }
      if (options.since !== undefined && !/^(\/\/|:)/.test(first)) {
        throw new UsageFault('cli/wrong-use', `${first} is no label: only labels have been otherwise at a commit`);
      }
      const open = openOptions(context);
      await withImage(first, { ...open, at: options.since }, (before) =>
        withImage(second ?? first, open, (after) => show(before, after, options, context)),
      );
    });
}

async function show(before: OpenImage, after: OpenImage, options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const differences = await diffAll(before.content, after.content);
  const same = before.content.digest === after.content.digest;
  if (options.exitCode && !same) process.exitCode = 1;
  const architectures = ({ content }: OpenImage) =>
    content.images.map(({ configuration }) => configuration.architecture);
  if (options.json) {
    const side = (image: OpenImage) => ({
      name: image.name,
      digest: image.content.digest,
      tag: image.content.tag,
      architectures: architectures(image),
    });
    terminal.print(
      JSON.stringify({ same, before: side(before), after: side(after), images: differences }, undefined, 2),
    );
    return;
  }
  terminal.print(`- ${before.name}  ${before.content.tag}  ${before.content.digest}`);
  terminal.print(`+ ${after.name}  ${after.content.tag}  ${after.content.digest}`);
  if (same) return terminal.print('they are the same');
  for (const [sign, one, other] of [
    ['-', before, after],
    ['+', after, before],
  ] as const) {
    const lonely = architectures(one).filter((each) => !architectures(other).includes(each));
    if (lonely.length > 0 && differences.length !== 1) terminal.print(`${sign} architecture ${lonely.join(', ')}`);
  }
  for (const line of differenceLines(differences, options.all ? Number.POSITIVE_INFINITY : undefined))
    terminal.print(line);
}
