import type { Command } from 'commander';
import { faultToJson, renderFault } from '../../fault/index.ts';
import { createWorkspaceBuilder } from '../../release/building/index.ts';
import { type ServerChoice, withServerOption } from '../api.ts';
import type { CommandContext } from '../context.ts';
import { testReporter } from '../report-tests.ts';
import { count } from '../views/count.ts';
import { graphOptions, here } from '../workspace.ts';
import { jobCount } from './build.ts';

interface Options extends ServerChoice {
  readonly rerun?: boolean;
  readonly keepGoing?: boolean;
  readonly explain?: boolean;
  readonly jobs?: number;
  readonly report?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(command.argument('[patterns...]', 'labels or patterns; //... unless told'))
    .option('--rerun', 'run tests although they passed with the same inputs before')
    .option('-k, --keep-going', "go on with what doesn't depend on what failed to build")
    .option('--explain', 'say for each action and test why it ran')
    .option('-j, --jobs <n>', 'actions at a time; the number of cores unless told', jobCount)
    .option(
      '--report',
      'tell the server what was found, for gates: on a commit without edits, of which there are releases',
    )
    .option('--json', 'print results as JSON')
    .addHelpText(
      'after',
      `
A test that passed with the same inputs before is not run again. Reports in JUnit XML are below banksman-out/test.

Examples:
  banksman test //...
  banksman test //bank/ledger/... --rerun
  banksman test //... --report`,
    )
    .action(async (patterns: string[], options: Options) => {
      const { terminal, progress, signal } = context;
      const { paint } = terminal;
      const { workspace, currentPackage } = await here();
      const report = options.report === true ? await testReporter(workspace.root, options, context) : undefined;
      const builder = await createWorkspaceBuilder(workspace, {
        progress,
        signal,
        patterns: patterns.length === 0 ? ['//...'] : patterns,
        from: currentPackage,
        cache: graphOptions().cache,
        ...(options.jobs !== undefined && { jobs: options.jobs }),
        ...(options.keepGoing === true && { keepGoing: true }),
      });
      const wanted = builder.labels.filter((label) => builder.graph.targets.get(label)?.test !== undefined);
      if (wanted.length === 0) progress.say('note: there is no test among these targets');
      const result = await builder.test(wanted, { rerun: options.rerun === true });
      terminal.clear();
      const tests = [...result.tests.values()];
      if (options.explain) {
        for (const { label, why, seconds } of result.ran) progress.say(`${label}: ${why} (${seconds.toFixed(1)} s)`);
        for (const { label, why, seconds } of tests)
          if (why !== undefined) progress.say(`test of ${label}: ${why} (${seconds.toFixed(1)} s)`);
      }
      const failed = tests.filter(({ status }) => status === 'failed');
      if (options.json) {
        const list = tests.map(({ label, status, cached, attempts, seconds, cases, report, files, fault }) => ({
          label,
          passed: status === 'passed',
          cached,
          attempts,
          seconds,
          cases,
          report,
          files,
          ...(fault !== undefined && { error: faultToJson(fault) }),
        }));
        terminal.print(JSON.stringify(list, undefined, 2));
      } else {
        for (const { label, status, cached, attempts, seconds, cases } of tests) {
          const mark = status === 'passed' ? paint.good('✓') : paint.bad('✗');
          const much = cases.length === 0 ? '' : `  ${count(cases.length, 'case')}`;
          const tries = attempts > 1 ? `  ${attempts} attempts` : '';
          const time = cached ? 'cached' : `${seconds.toFixed(1)} s`;
          terminal.print(`${mark} ${label}${paint.faint(`${much}  ${time}${tries}`)}`);
        }
        terminal.print(`${tests.length - failed.length} passed, ${failed.length} failed`);
      }
      for (const fault of [...failed.map((test) => test.fault), ...result.failures]) {
        if (fault !== undefined) process.stderr.write(`\n${renderFault(fault, { color: terminal.color })}\n`);
      }
      const reported = (await report?.(tests)) ?? [];
      if (reported.length > 0) progress.say(`reported for ${reported.join(', ')}`);
      if (failed.length > 0 || result.failures.length > 0) process.exitCode = 1;
    });
}
