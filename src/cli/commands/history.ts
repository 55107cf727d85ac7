import type { Command } from 'commander';
import { environmentOf, releaseHistory } from '../../release/index.ts';
import {
  apiOf,
  itemsOf,
  queryText,
  refuseClusterChoice,
  type ServerChoice,
  servicePath,
  wantsServer,
  withServerOption,
} from '../api.ts';
import { type ClusterChoice, reachCluster, withClusterOptions, withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { serviceNamed } from '../service.ts';
import { UsageFault } from '../usage.ts';
import { proofLines } from '../views/proof.ts';
import { historyLines, type RolloutView } from '../views/rollouts.ts';

interface Options extends ClusterChoice, ServerChoice {
  readonly env: string;
  readonly limit?: number;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withClusterOptions(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger'))))
    .option('--limit <number>', 'the newest so many rollouts of the server; 20 unless told', count)
    .option('--json', 'print {rollouts, releases} as JSON')
    .addHelpText(
      'after',
      `
Every rollout of a service in an environment, the newest first: who asked, when it was in which state and why, the commit and its authors.
A server that is named, or that somebody signed in to, is asked; else (and with --cluster) the cluster, which knows of its own last rollouts.

Examples:
  banksman history //bank/ledger --env dev
  banksman history //bank/ledger --env prod --server https://banksman.bank.example --limit 100`,
    )
    .action(async (text: string, options: Options) => {
      const ask = (await wantsServer(options)) ? serverHistory : clusterHistory;
      await ask(text, options, context);
    });
}

async function serverHistory(text: string, options: Options, context: CommandContext): Promise<void> {
  refuseClusterChoice(options);
  const { terminal } = context;
  const { limit = 20, json } = options;
  const path = `${await servicePath(text, options.env, context)}/rollouts${queryText({ limit: Math.min(limit, 100) })}`;
  const rollouts: RolloutView[] = [];
  for await (const rollout of itemsOf<RolloutView>(apiOf(options, context), path, 'before')) {
    if (rollouts.length === limit) break;
    rollouts.push(rollout);
  }
  if (json) return terminal.print(JSON.stringify({ rollouts }, undefined, 2));
  if (rollouts.length === 0) terminal.print(`nothing was ever asked for in ${options.env}`);
  for (const rollout of rollouts) for (const line of historyLines(rollout, terminal.paint)) terminal.print(line);
}

async function clusterHistory(text: string, options: Options, context: CommandContext): Promise<void> {
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
      result === 'healthy' ? terminal.paint.good(result) : result === 'failed' ? terminal.paint.bad(result) : result;
    terminal.print(
      `${startedAt}  ${kind.padEnd(8)}  release ${release.slice(0, 12)}  ${word}${terminal.paint.faint(`${commit}  by ${by}`)}`,
    );
    if (reason !== undefined) terminal.print(`    ${reason}`);
    if (proof !== undefined) for (const line of proofLines(proof)) terminal.print(`    ${line}`);
  }
}

function count(text: string): number {
  if (/^[1-9][0-9]{0,4}$/.test(text)) return Number(text);
  throw new UsageFault('cli/wrong-use', `--limit takes a whole number up to 99999, not '${text}'`);
}
