import type { Command } from 'commander';
import { parseLabel } from '../../../graph/index.ts';
import { explainImage, type ImageExplanation } from '../../../release/index.ts';
import type { CommandContext } from '../../context.ts';
import { explanationLines, explanationObject } from '../../views/explanation.ts';
import { differenceLines } from '../../views/image-difference.ts';
import { graphOptions, here } from '../../workspace.ts';
import { openOptions } from './open.ts';

interface Options {
  readonly since: string;
  readonly json?: boolean;
  readonly all?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument('<label>', 'an image of the workspace')
    .requiredOption('--since <rev>', 'the commit to compare with: a branch, a tag, HEAD~1')
    .option('--all', 'show every file that differs, however many')
    .option('--json', 'print the explanation as JSON')
    .addHelpText(
      'after',
      `
Tells which input has changed, by which targets the change reached the image, and which layers and files came out
otherwise because of it. The image is built as it is now and as the commit has it, from the cache where it was built before.

Examples:
  banksman image explain //bank/ledger:image --since origin/main
  banksman image explain //bank/ledger:image --since HEAD~1 --json`,
    )
    .action(async (text: string, { since, json, all }: Options) => {
      const { workspace, currentPackage } = await here();
      const label = parseLabel(text, currentPackage);
      const options = { ...openOptions(context), load: graphOptions() };
      const explanation = await explainImage(workspace, label, since, options);
      const { terminal } = context;
      if (json) {
        const { graph, before, ...rest } = explanation;
        return terminal.print(
          JSON.stringify({ ...rest, before: before ?? null, graph: explanationObject(graph) }, undefined, 2),
        );
      }
      for (const line of lines(explanation, since, all === true)) terminal.print(line);
    });
}

function* lines(
  { label, graph, before, after, differences }: ImageExplanation,
  since: string,
  all: boolean,
): Generator<string> {
  yield* explanationLines(graph);
  if (before?.digest === after.digest) {
    yield graph.chain.length === 0
      ? `${label} is ${after.tag}, as at ${since}`
      : `and yet the image is the same, ${after.tag}: nothing of it came out otherwise`;
    return;
  }
  if (before === undefined) {
    yield `${label} is ${after.tag}; at ${since} there is no image to compare with`;
    return;
  }
  yield `${label}: ${before.tag} -> ${after.tag}`;
  yield* differenceLines(differences, all ? Number.POSITIVE_INFINITY : undefined);
}
