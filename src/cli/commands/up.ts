import type { Command } from 'commander';
import { up } from '../../local/index.ts';
import { engineSource, localName } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';
import { clusterLines } from '../views/cluster.ts';

export function define(command: Command, { terminal, progress, signal }: CommandContext): void {
  command
    .option('--cluster <name>', 'its name; several can stand side by side ($BANKSMAN_CLUSTER)')
    .option('--api-port <port>', 'port of the Kubernetes API on 127.0.0.1; a free one unless told', portNumber)
    .option('--json', 'print the status as JSON')
    .addHelpText(
      'after',
      `
A real single-node Kubernetes: etcd, control plane, kubelet and containerd in a network namespace of its own.
Nothing of it touches this machine's firewall or addresses. The first time, its programs are compiled.

Examples:
  banksman up
  banksman up --cluster second
  banksman kubectl get nodes`,
    )
    .action(async (options: { cluster?: string; apiPort?: number; json?: boolean }) => {
      const name = localName(options)!;
      const result = await up({
        name,
        progress,
        engineSource,
        signal,
        ...(options.apiPort !== undefined && { apiPort: options.apiPort }),
      });
      if (options.json) return terminal.print(JSON.stringify(result.status, undefined, 2));
      const seconds = (result.took / 1000).toFixed(1);
      const text = result.already
        ? `cluster '${name}' is up already`
        : `cluster '${name}' is up ${terminal.paint.faint(`${seconds} s`)}`;
      terminal.print(`${terminal.paint.good('✓')} ${text}`);
      for (const line of clusterLines(result.status, terminal.paint).slice(1)) terminal.print(line);
    });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || port < 1 || port > 65535) {
    throw new UsageFault('cli/wrong-use', `--api-port takes a port from 1 to 65535, not '${text}'`);
  }
  return port;
}
