import type { Command } from 'commander';
import { faultToJson, renderFault } from '../../fault/index.ts';
import {
  createWorkspaceBuilder,
  type DeployEvent,
  deploy,
  environmentOf,
  findService,
  openProofSettings,
  type Phase,
  type ServiceDeployment,
} from '../../release/index.ts';
import { type ClusterChoice, reachCluster, withClusterOptions, withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { reviewsOf, signing } from '../proof.ts';
import { UsageFault } from '../usage.ts';
import { resultLine, rolloutLines } from '../views/services.ts';
import { here } from '../workspace.ts';

interface Options extends ClusterChoice {
  readonly env: string;
  readonly deadline?: number;
  readonly force?: boolean;
  readonly breakGlass?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withClusterOptions(
    withEnvironmentOption(command.argument('[labels...]', 'services: //bank/ledger, //bank/...; all unless told')),
  )
    .option('--deadline <seconds>', 'when a rollout that is not healthy counts as failed', wholeSeconds)
    .option('--force', 'take over fields that another tool has set')
    .option(
      '--break-glass <reason>',
      "go on although images do not fulfil the environment's policy; kept in the history",
    )
    .option('--json', 'print the results as JSON')
    .addHelpText(
      'after',
      `
Builds, pushes, renders and applies what changed, and waits until it serves. What did not change is not touched.
A rollout that can't become healthy ends as failed with its reason, while the old version serves on.
With BANKSMAN_SIGNING_KEY set, images are signed as 'banksman image attest' does.

Examples:
  banksman deploy --env dev
  banksman deploy //bank/statements --env dev
  banksman deploy --env dev --context my-cluster`,
    )
    .action(async (labels: string[], options: Options) => {
      const { workspace, currentPackage } = await here();
      const environment = environmentOf(workspace, options.env);
      const settings = await openProofSettings(signing(context));
      const builder = await createWorkspaceBuilder(workspace, {
        progress: context.progress,
        signal: context.signal,
        patterns: labels.length === 0 ? (environment.services ?? ['//...']) : labels,
        from: currentPackage,
      });
      const matched = new Set(builder.labels);
      const services = builder.services().filter(({ label }) => matched.has(label));
      if (services.length === 0) {
        // A label that names something else than a service is told apart from a pattern that matches none.
        if (labels.length === 1 && builder.labels.length === 1) findService(builder.services(), builder.labels[0]!);
        throw new UsageFault('cli/unknown-label', `no service matches ${labels.join(' ') || '//...'}`, {
          next: "see 'banksman query targets //... --services'",
        });
      }
      const pushes = services.some(({ label }) => (builder.graph.targets.get(label)?.data.all.length ?? 0) > 0);
      const cluster = await reachCluster(options, environment, { pushes });
      const results = await deploy({
        builder,
        labels: services.map(({ label }) => label),
        environment,
        cluster,
        progress: context.progress,
        signal: context.signal,
        observe: watchRollout(context),
        ...(options.deadline !== undefined && { deadline: options.deadline }),
        ...(options.force === true && { force: true }),
        breakGlass: options.breakGlass,
        proof: settings && { settings, reviews: reviewsOf(workspace.root, context) },
      });
      report(results, context, options);
    });
}

/** Milliseconds between two lines on the same phase of a service, where nothing can be drawn live. */
const quietTime = 8_000;

/** Draws the newest event of each service; where nothing can be drawn, a line tells each phase, and now and then how it goes. */
export function watchRollout({ terminal, progress }: CommandContext): (event: DeployEvent) => void {
  const newest = new Map<string, DeployEvent>();
  const spoken = new Map<string, { phase: Phase; at: number }>();
  return (event) => {
    const { label } = event.service;
    newest.set(label, event);
    if (terminal.live) return terminal.draw(rolloutLines(newest, terminal.paint));
    const last = spoken.get(label);
    // How it ended is the result's line.
    if (['healthy', 'unchanged', 'failed', 'superseded'].includes(event.phase)) return;
    if (last?.phase === event.phase && Date.now() - last.at < quietTime) return;
    spoken.set(label, { phase: event.phase, at: Date.now() });
    if (event.phase !== 'checking') progress.say(`  ${label}  ${event.phase}  ${event.message}`.trimEnd());
  };
}

/** Prints how rollouts ended; a failed one makes the exit code 1. */
export function report(
  results: readonly ServiceDeployment[],
  { terminal }: CommandContext,
  options: { readonly json?: boolean },
): void {
  terminal.clear();
  if (options.json) {
    const list = results.map(({ service, release, result, changes, duration, fault }) => ({
      service: service.label,
      release,
      result,
      changes,
      duration,
      ...(fault !== undefined && { error: faultToJson(fault) }),
    }));
    terminal.print(JSON.stringify(list, undefined, 2));
  } else {
    const width = Math.max(0, ...results.map(({ service }) => service.label.length));
    for (const result of results) terminal.print(resultLine(result, width, terminal.paint));
  }
  for (const { fault } of results) {
    if (fault === undefined) continue;
    process.exitCode = 1;
    if (!options.json) process.stderr.write(`\n${renderFault(fault, { color: terminal.color })}\n`);
  }
}

export function wholeSeconds(text: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(text)) {
    throw new UsageFault('cli/wrong-use', `--deadline takes whole seconds, not '${text}'`);
  }
  return Number(text);
}
