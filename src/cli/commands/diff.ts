import type { Command } from 'commander';
import { apiOf, queryText, type ServerChoice, wholeLabel, withServerOption } from '../api.ts';
import { commitsBetween } from '../commit.ts';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';
import { type ChangesView, changesLines } from '../views/changes.ts';

interface Options extends ServerChoice {
  readonly env?: readonly string[];
  readonly in?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(
    command
      .argument('<service>', 'a service: //bank/ledger')
      .argument('[from]', 'a release, by its name or the beginning of it')
      .argument('[to]', 'another one'),
  )
    .option('--env <name>', 'an environment in place of a release; may be given twice', another)
    .option('--in <environment>', 'render both as for this environment')
    .option('--json', 'print {from, to, releases, objects, commits} as JSON')
    .addHelpText(
      'after',
      `
How two releases of a service differ: commits and authors between, and each object field by field. What secrets hold is not shown.

Examples:
  banksman diff //bank/ledger 3f9ac21b 77c0de12
  banksman diff //bank/ledger --env prod --env staging      # what a promotion would bring
  banksman diff //bank/ledger 3f9ac21b --env staging`,
    )
    .action(async (text: string, from: string | undefined, to: string | undefined, options: Options) => {
      const { terminal, signal } = context;
      const sides = [from, to, ...(options.env ?? [])].filter((each) => each !== undefined);
      if (sides.length !== 2) {
        throw new UsageFault('cli/wrong-use', `a difference has two sides, not ${sides.length}`, {
          next: 'give two releases, two times --env, or one of each',
        });
      }
      const call = apiOf(options, context);
      const service = await wholeLabel(text, context);
      const query = queryText({ from: sides[0], to: sides[1], environment: options.in });
      const path = `/v1/services/${encodeURIComponent(service)}/difference${query}`;
      const changes = (await call('GET', path)) as ChangesView & { readonly from: { readonly commit: string } };
      const commits = await commitsBetween(changes.from.commit, changes.to.commit, signal);
      if (options.json) return terminal.print(JSON.stringify({ ...changes, commits }, undefined, 2));
      for (const line of changesLines(changes, terminal.paint)) terminal.print(line);
      if (commits.length > 0) terminal.print('commits of the workspace between:');
      for (const { id, author, subject } of commits) {
        terminal.print(`  ${id.slice(0, 10)}  ${subject}  ${terminal.paint.faint(author)}`);
      }
    });
}

function another(name: string, so: readonly string[] = []): string[] {
  return [...so, name];
}
