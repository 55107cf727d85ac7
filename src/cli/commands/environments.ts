import type { Command } from 'commander';
import { apiOf, type ServerChoice, withServerOption } from '../api.ts';
import type { CommandContext } from '../context.ts';
import { environmentsOf } from '../placements.ts';

export function define(command: Command, context: CommandContext): void {
  withServerOption(command)
    .option('--json', 'print them as JSON')
    .addHelpText(
      'after',
      `
Environments that the server brings releases into, in the order of banksman.yaml.

Examples:
  banksman environments`,
    )
    .action(async (options: ServerChoice & { json?: boolean }) => {
      const { terminal } = context;
      const found = await environmentsOf(apiOf(options, context));
      if (options.json) return terminal.print(JSON.stringify(found, undefined, 2));
      const width = Math.max(0, ...found.map(({ name }) => name.length));
      for (const { name, cluster, namespace, after, automatic, gates } of found) {
        const from = after === undefined ? '' : `  after ${after}`;
        const how = automatic ? '  automatic' : '';
        const through = gates.length === 0 ? '' : terminal.paint.faint(`  gates: ${gates.join(', ')}`);
        terminal.print(`${name.padEnd(width)}  ${namespace} of ${cluster}${from}${how}${through}`);
      }
    });
}
