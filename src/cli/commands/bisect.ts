import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { Fault } from '../../fault/index.ts';
import { model } from '../../release/index.ts';
import { apiOf, type ServerChoice, wholeLabel, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { follow, promoteOnce } from '../follow.ts';
import { UsageFault } from '../usage.ts';
import type { ReleaseView } from '../views/changes.ts';
import { shortRelease } from '../views/rollouts.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly good: readonly string[];
  readonly bad: readonly string[];
  readonly skip?: readonly string[];
  readonly run?: boolean | string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withEnvironmentOption(command.argument('<service>', 'a service: //bank/ledger')))
    .requiredOption('--good <release>', 'a release that was good; may be given again', another)
    .requiredOption('--bad <release>', 'a later one that was bad; may be given again', another)
    .option('--skip <release>', 'one that nothing can be said of; may be given again', another)
    .option(
      '--run [command]',
      'promote each that is to be tried, and ask how it is, or let a command say: 0 good, 125 skip, another end bad; one that does not become healthy is bad',
    )
    .option('--json', 'print {next, culprits, left, steps} as JSON')
    .addHelpText(
      'after',
      `
Finds the first bad release between a good and a bad one, in as few tries as halving needs.

Examples:
  banksman bisect //bank/ledger --env staging --good 3f9ac21b --bad 77c0de12
  banksman bisect //bank/ledger --env staging --good 3f9ac21b --bad 77c0de12 --run
  banksman bisect //bank/ledger --env staging --good 3f9ac21b --bad 77c0de12 --run 'curl --fail https://staging.bank.example/rates'`,
    )
    .action((text: string, options: Options) => run(text, options, context));
}

async function run(text: string, options: Options, context: CommandContext): Promise<void> {
  const { terminal, signal } = context;
  const call = apiOf(options, context);
  const service = await wholeLabel(text, context);
  const releases = (await call('GET', `/v1/services/${encodeURIComponent(service)}/releases`)) as ReleaseView[];
  const findings = new Map<string, model.Finding>();
  const note = (named: readonly string[], finding: model.Finding) => {
    for (const each of named) findings.set(idNamed(each, releases, service), finding);
  };
  note(options.good, 'good');
  note(options.bad, 'bad');
  note(options.skip ?? [], 'skip');
  for (;;) {
    const bisection = model.bisect(releases, findings);
    if (bisection === undefined) {
      throw new UsageFault('cli/wrong-use', 'the good release has to be an earlier one than the bad one', {
        next: `see their order: banksman history ${service} --env ${options.env}`,
      });
    }
    const { next, culprits, left, steps } = bisection;
    if (next === undefined || !options.run) {
      if (options.json) return terminal.print(JSON.stringify(bisection, undefined, 2));
      if (next !== undefined) {
        terminal.print(
          `try release ${shortRelease(next.id)} (${next.order}): ${left} in question, ${steps} more tries at most`,
        );
        return terminal.print(
          `  banksman promote ${service} --env ${options.env} --release ${shortRelease(next.id)} --wait`,
        );
      }
      terminal.print(culprits.length === 1 ? 'the first bad release:' : 'one of these is the first bad release:');
      for (const { id, order } of culprits) {
        const release = releases.find((each) => each.id === id);
        terminal.print(
          `  ${shortRelease(id)} (${order})  commit ${release?.commit.slice(0, 10)}  ${release?.authors.join(', ')}`,
        );
      }
      return;
    }
    context.progress.say(`release ${shortRelease(next.id)}: ${left} in question, ${steps} more tries at most`);
    findings.set(next.id, await tryOut(next.id));
  }

  async function tryOut(release: string): Promise<model.Finding> {
    const wanted = await promoteOnce(call, { service, environment: options.env, release }, 'bisect');
    if (wanted !== undefined) {
      const [ended] = await follow(call, [wanted], context);
      if (ended?.state === 'superseded' || ended?.state === 'cancelled') {
        throw new Fault(
          'cli/interrupted',
          `somebody else came between: release ${shortRelease(release)} was ${ended.state}`,
          {
            next: `nothing is known of it; try again once ${options.env} is free`,
          },
        );
      }
      if (ended?.state !== 'healthy') return 'bad';
    }
    if (typeof options.run === 'string') return await judge(options.run, release, options.env, signal);
    if (!process.stdin.isTTY) {
      throw new UsageFault('cli/wrong-use', `nobody is here to say how ${shortRelease(release)} is`, {
        next: `look at it in ${options.env}, and go on with --good, --bad or --skip ${shortRelease(release)}`,
      });
    }
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      for (;;) {
        const answer = await lines.question(`how is it? good, bad or skip: `, { signal });
        const finding = (['good', 'bad', 'skip'] as const).find((each) => each === answer.trim());
        if (finding !== undefined) return finding;
      }
    } finally {
      lines.close();
    }
  }
}

/** What a command says, as `git bisect run` takes it. */
async function judge(
  command: string,
  release: string,
  environment: string,
  signal: AbortSignal,
): Promise<model.Finding> {
  const env = { ...process.env, BANKSMAN_RELEASE: release, BANKSMAN_ENVIRONMENT: environment };
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 2, 2], env, signal });
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (ended) => resolve(ended ?? 128));
  });
  // The shell's own ends say nothing of the release: not found, not to be run, killed.
  if (code >= 126) {
    throw new UsageFault('cli/wrong-use', `the command ended with ${code}, which says nothing of a release`, {
      next: 'let it end with 0 where the release is good, 125 where nobody can say, 1 to 124 where it is bad',
    });
  }
  return code === 0 ? 'good' : code === 125 ? 'skip' : 'bad';
}

function idNamed(text: string, releases: readonly ReleaseView[], service: string): string {
  const wanted = text.startsWith('sha256:') ? text : `sha256:${text}`;
  const found = releases.filter(({ id }) => id.startsWith(wanted));
  const [release] = found;
  if (release !== undefined && found.length === 1) return release.id;
  const what = release === undefined ? 'no release' : `${found.length} releases`;
  throw new UsageFault('cli/wrong-use', `${service} has ${what} ${text}`, {
    next: `see them: banksman history ${service}`,
  });
}

function another(name: string, so: readonly string[] = []): string[] {
  return [...so, name];
}
