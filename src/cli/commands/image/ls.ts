import type { Command } from 'commander';
import { renderFault } from '../../../fault/index.ts';
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
        keepGoing: true,
      });
      const { targets, failures } = await builder.build(builder.imageLabels());
      const images = await builder.images(builder.imageLabels().filter((label) => targets.has(label)));
      context.terminal.clear();
      if (options.json) {
        const list = images.map(({ layout: _, ...image }) => image);
        context.terminal.print(JSON.stringify(list, undefined, 2));
      }
      const width = Math.max(0, ...images.map(({ label }) => label.length));
      for (const { label, tag, digest, reproducible } of options.json ? [] : images) {
        const mark = reproducible ? '' : '  not reproducible';
        context.terminal.print(`${label.padEnd(width)}  ${tag}  ${digest}${mark}`);
      }
      // What can't be built hides none of the others.
      const { color } = context.terminal;
      for (const fault of failures) process.stderr.write(`${renderFault(fault, { color })}\n`);
      if (failures.length > 0) process.exitCode = 1;
    });
}
