import type { Command } from 'commander';
import { createWorkspaceBuilder } from '../../../release/building/index.ts';
import type { CommandContext } from '../../context.ts';
import { graphOptions, here } from '../../workspace.ts';

export function define(command: Command, context: CommandContext): void {
  command
    .argument('[patterns...]', 'which ones; all unless told')
    .option('--long', 'the long tags, of 64 digits')
    .option('--json', 'a JSON list of {label, repository, tag, digest, reproducible}')
    .addHelpText(
      'after',
      `
Examples:
  banksman image ls
  banksman image ls //bank/... --json`,
    )
    .action(async (patterns: string[], options: { json?: boolean; long?: boolean }) => {
      const { workspace, currentPackage } = await here();
      const named = options.long ? { ...workspace, images: { ...workspace.images, tags: 'long' as const } } : workspace;
      const builder = await createWorkspaceBuilder(named, {
        progress: context.progress,
        signal: context.signal,
        patterns: patterns.length === 0 ? ['//...'] : patterns,
        from: currentPackage,
        cache: graphOptions().cache,
      });
      const images = await builder.images(builder.imageLabels());
      if (options.json) {
        const list = images.map(({ layout: _, ...image }) => image);
        return context.terminal.print(JSON.stringify(list, undefined, 2));
      }
      const width = Math.max(0, ...images.map(({ label }) => label.length));
      for (const { label, tag, digest, reproducible } of images) {
        const mark = reproducible ? '' : '  not reproducible';
        context.terminal.print(`${label.padEnd(width)}  ${tag}  ${digest}${mark}`);
      }
    });
}
