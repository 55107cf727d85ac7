import type { Command } from 'commander';
import { environmentOf, followLogs } from '../../release/index.ts';
import { type ClusterChoice, reachCluster, withClusterOptions, withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { serviceNamed } from '../service.ts';
import { UsageFault } from '../usage.ts';

interface Options extends ClusterChoice {
  readonly env: string;
  readonly follow?: boolean;
  readonly container?: string;
  readonly since?: number;
  readonly tail?: number;
  readonly previous?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withClusterOptions(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option('-f, --follow', 'go on with new lines, across restarts and rollouts, until ^C')
    .option('-c, --container <name>', 'only this container')
    .option('--since <time>', 'only newer lines: 30s, 5m, 2h', duration)
    .option('--tail <lines>', "lines from the end of each container's log", count)
    .option('-p, --previous', "the log of each container's run before this one")
    .option('--json', 'a JSON object for each line')
    .addHelpText(
      'after',
      `
Examples:
  banksman logs //bank/ledger -f
  banksman logs //bank/gateway -c sidecar --since 5m`,
    )
    .action(async (text: string, options: Options) => {
      const { terminal, signal } = context;
      const { workspace, service } = await serviceNamed(text, context);
      const environment = environmentOf(workspace, options.env);
      const cluster = await reachCluster(options, environment, { pushes: false });
      const { follow, container, since, tail, previous } = options;
      const lines = followLogs({
        service,
        environment,
        cluster,
        signal,
        ...(follow === true && { follow }),
        ...(previous === true && { previous }),
        ...(container !== undefined && { container }),
        ...(since !== undefined && { since }),
        ...(tail !== undefined && { tail }),
      });
      for await (const line of lines) {
        if (options.json) terminal.print(JSON.stringify(line));
        else terminal.print(`${terminal.paint.faint(`${line.pod}/${line.container}`)} ${line.text}`);
      }
    });
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

function duration(text: string): number {
  const match = /^([0-9]{1,6})([smhd])$/.exec(text);
  if (match === null)
    throw new UsageFault('cli/wrong-use', `--since takes a time such as 30s, 5m or 2h, not '${text}'`);
  return Number(match[1]) * secondsOf[match[2]!]!;
}

function count(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new UsageFault('cli/wrong-use', `--tail takes a whole number, not '${text}'`);
  return Number(text);
}
