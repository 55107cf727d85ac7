import type { Command } from 'commander';
import { environmentOf, releaseHistory } from '../../release/index.ts';
import { type ClusterChoice, reachCluster, withClusterOptions, withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { serviceNamed } from '../service.ts';
import { proofLines } from '../views/proof.ts';

export function define(command: Command, context: CommandContext): void {
  withClusterOptions(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .option('--json', 'print {rollouts, releases} as JSON')
    .addHelpText(
      'after',
      `
Examples:
  banksman history //bank/ledger --env dev`,
    )
    .action(async (text: string, options: ClusterChoice & { env: string; json?: boolean }) => {
      const { terminal, signal } = context;
      const { workspace, service } = await serviceNamed(text, context);
      const environment = environmentOf(workspace, options.env);
      const cluster = await reachCluster(options, environment, { pushes: false });
      const history = await releaseHistory({ service, environment, cluster, signal });
      if (options.json) return terminal.print(JSON.stringify(history, undefined, 2));
      const origins = new Map(history.releases.map((release) => [release.id, release.origin]));
      for (const { release, kind, result, startedAt, by, reason, proof } of history.rollouts) {
        const origin = origins.get(release);
        const commit =
          origin?.commit === undefined ? '' : `  commit ${origin.commit.slice(0, 10)}${origin.dirty ? ' + edits' : ''}`;
        const word =
          result === 'healthy'
            ? terminal.paint.good(result)
            : result === 'failed'
              ? terminal.paint.bad(result)
              : result;
        terminal.print(
          `${startedAt}  ${kind.padEnd(8)}  release ${release.slice(0, 12)}  ${word}${terminal.paint.faint(`${commit}  by ${by}`)}`,
        );
        if (reason !== undefined) terminal.print(`    ${reason}`);
        if (proof !== undefined) for (const line of proofLines(proof)) terminal.print(`    ${line}`);
      }
    });
}
