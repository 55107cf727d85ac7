import type { Command } from 'commander';
import type { CommandContext, CommandModule } from '../../context.ts';

interface Entry {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CommandModule>;
}

/** In the order in which `--help` shows them. A sub-command's file has its name. */
const entries: readonly Entry[] = [
  { name: 'ls', summary: 'images of the workspace, built, with their tags and digests', load: () => import('./ls.ts') },
  {
    name: 'inspect',
    summary: 'what an image is: configuration, layers with their purpose, packages',
    load: () => import('./inspect.ts'),
  },
  {
    name: 'diff',
    summary: 'what differs between two images: configuration, packages, files by layer',
    load: () => import('./diff.ts'),
  },
  {
    name: 'explain',
    summary: 'which input made an image new since a commit, and what of it came out otherwise',
    load: () => import('./explain.ts'),
  },
  { name: 'sign', summary: 'state that an image is meant, signed, beside it', load: () => import('./sign.ts') },
  {
    name: 'attest',
    summary: 'sign an image, how it came to be and what is in it',
    load: () => import('./attest.ts'),
  },
  { name: 'sbom', summary: "print an image's bill of materials", load: () => import('./sbom.ts') },
];

/** Only what was asked for is loaded. */
export async function define(command: Command, context: CommandContext): Promise<void> {
  command.addHelpText(
    'after',
    `
An IMAGE is a label (built first), the folder of an OCI layout, or an image's name in a registry.

Examples:
  banksman image ls //bank/...
  banksman image inspect //bank/ledger:image
  banksman image diff registry.local/bank/ledger:c3823eb42513 //bank/ledger:image
  banksman image explain //bank/ledger:image --since origin/main`,
  );
  for (const { name, summary, load } of entries) {
    const child = command.command(name).summary(summary).description(summary);
    if (name === context.words[1]) await (await load()).define(child, context);
  }
}
