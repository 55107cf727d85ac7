import type { Command } from 'commander';
import type { CommandContext } from '../../context.ts';
import { queries } from './queries.ts';

/** Only the query that was asked for is loaded. */
export async function define(command: Command, context: CommandContext): Promise<void> {
  command.addHelpText(
    'after',
    `
Examples:
  banksman query targets //bank/...                     every target below bank/
  banksman query deps //bank/ledger:image               what the image is made of
  banksman query revdeps //bank/common/metrics          who would feel a change to it
  banksman query affected --since origin/main           what differs from main, dirty files included
  banksman query affected --since HEAD~1 --to HEAD --tests --json
  banksman query explain //bank/ledger:image --since origin/main

Patterns are //..., //a/..., //a:all, //a:b and :b.`,
  );
  for (const { name, summary, examples, load } of queries) {
    const query = command.command(name).summary(summary).description(summary);
    query.addHelpText('after', `\nExamples:\n${examples.map((each) => `  banksman query ${each}`).join('\n')}`);
    if (name === context.words[1]) await (await load()).define(query, context);
  }
}
