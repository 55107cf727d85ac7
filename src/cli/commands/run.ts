import type { Command } from 'commander';
import { createWorkspaceBuilder } from '../../release/building/index.ts';
import type { CommandContext } from '../context.ts';
import { runToEnd } from '../run-to-end.ts';
import { UsageFault } from '../usage.ts';
import { here } from '../workspace.ts';

export function define(command: Command, { progress, signal, terminal }: CommandContext): void {
  command
    .argument('<label>', 'a target whose output is a program')
    .argument('[words...]', "the program's own words")
    .passThroughOptions()
    .addHelpText(
      'after',
      `
Examples:
  banksman run //bank/load -- -key dummy-dev-key -duration 10s`,
    )
    .action(async (label: string, given: string[]) => {
      const words = given[0] === '--' ? given.slice(1) : given;
      const { workspace, currentPackage } = await here();
      const builder = await createWorkspaceBuilder(workspace, {
        progress,
        signal,
        patterns: [label],
        from: currentPackage,
      });
      const [wanted] = builder.labels;
      const target = wanted === undefined ? undefined : builder.graph.targets.get(wanted);
      if (wanted === undefined || builder.labels.length !== 1 || target?.binary !== true) {
        throw new UsageFault('cli/wrong-use', `${label} is not one program`, {
          next: 'name a go_binary, java_binary, python_binary or sh_binary',
        });
      }
      const { targets } = await builder.build([wanted]);
      const program = targets.get(wanted)?.outputs[0]?.absolute;
      if (program === undefined) throw new UsageFault('cli/wrong-use', `${label} has no output to run`);
      terminal.clear();
      const jar = program.endsWith('.jar');
      process.exitCode = await runToEnd(jar ? 'java' : program, jar ? ['-jar', program, ...words] : words, process.env);
    });
}
