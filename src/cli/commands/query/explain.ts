import type { Command } from 'commander';
import { explainSince, parseLabel } from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { explanationLines, explanationObject } from '../../views/explanation.ts';
import { graphOptions, here } from '../../workspace.ts';

interface Options {
  readonly since: string;
  readonly to?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .description('why a change affects a target: the chain from what has changed to it')
    .argument('<label>')
    .requiredOption('--since <rev>', 'the commit to compare with: a branch, a tag, HEAD~1')
    .option('--to <rev>', 'the commit that holds the change; the work tree, dirty files included, unless told')
    .option('--json', 'print the explanation as JSON')
    .action(async (text: string, { since, to, json }: Options) => {
      const { workspace, currentPackage } = await here();
      const label = parseLabel(text, currentPackage);
      const explanation = await explainSince(workspace, label, { ...graphOptions(), since, to });
      if (json) context.terminal.print(JSON.stringify(explanationObject(explanation), undefined, 2));
      else for (const line of explanationLines(explanation)) context.terminal.print(line);
    });
}
