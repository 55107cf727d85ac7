import type { Command } from 'commander';
import { apiOf, type ServerChoice, servicePath, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { type Why, whyLines } from '../views/why.ts';

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option(
      '--release <release>',
      'a release by its name or the beginning of it; what waits, or the newest, unless told',
    )
    .option('--json', 'print {release, rollout, answers, open, held} as JSON')
    .addHelpText(
      'after',
      `
Answers for each gate whether it holds, since when, and what would open it.

Examples:
  banksman why //bank/ledger --env prod
  banksman why //bank/ledger --env prod --release 3f9ac21b`,
    )
    .action(async (service: string, options: ServerChoice & { env: string; release?: string; json?: boolean }) => {
      const { terminal } = context;
      const call = apiOf(options, context);
      const query = options.release === undefined ? '' : `?release=${encodeURIComponent(options.release)}`;
      const answer = (await call('GET', `${await servicePath(service, options.env, context)}/why${query}`)) as Why;
      if (options.json) return terminal.print(JSON.stringify(answer, undefined, 2));
      for (const line of whyLines(answer, terminal.paint)) terminal.print(line);
    });
}
