import type { Command } from 'commander';
import { down } from '../../local/index.ts';
import { localName } from '../cluster.ts';
import type { CommandContext } from '../context.ts';

export function define(command: Command, { terminal, progress }: CommandContext): void {
  command
    .option('--cluster <name>', 'its name ($BANKSMAN_CLUSTER)')
    .option('--purge', 'remove its state too: objects, volumes, images, keys')
    .addHelpText(
      'after',
      `
Leaves no process, mount, network namespace, cgroup or firewall rule. State stays for the next 'banksman up'.

Examples:
  banksman down
  banksman down --purge`,
    )
    .action(async (options: { cluster?: string; purge?: boolean }) => {
      const name = localName(options)!;
      const result = await down({ name, progress, purge: options.purge === true });
      const what = result.stopped ? `cluster '${name}' is down` : `cluster '${name}' was not running`;
      terminal.print(`${terminal.paint.good('✓')} ${what}${result.purged ? ', its state removed' : ''}`);
    });
}
