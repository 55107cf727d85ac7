import type { Command } from 'commander';
import { renderFault } from '../../fault/index.ts';
import { createWorkspaceBuilder } from '../../release/building/index.ts';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';
import { count } from '../views/count.ts';
import { graphOptions, here } from '../workspace.ts';

interface Options {
  readonly keepGoing?: boolean;
  readonly explain?: boolean;
  readonly jobs?: number;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .argument('<patterns...>', 'labels or patterns: //..., //a/..., //a:b, :b')
    .option('-k, --keep-going', "go on with what doesn't depend on what failed")
    .option('--explain', 'say for each action why it ran')
    .option('-j, --jobs <n>', 'actions at a time; the number of cores unless told', jobCount)
    .option('--json', 'print outputs as JSON')
    .addHelpText(
      'after',
      `
Outputs are linked below banksman-out. What was built before from the same inputs is taken from the cache.

Examples:
  banksman build //...
  banksman build //bank/gateway:server --explain`,
    )
    .action(async (patterns: string[], options: Options) => {
      const { terminal, progress, signal } = context;
      const { workspace, currentPackage } = await here();
      const builder = await createWorkspaceBuilder(workspace, {
        progress,
        signal,
        patterns,
        from: currentPackage,
        cache: graphOptions().cache,
        ...(options.jobs !== undefined && { jobs: options.jobs }),
        ...(options.keepGoing === true && { keepGoing: true }),
      });
      const result = await builder.build(builder.labels);
      terminal.clear();
      if (options.explain)
        for (const { label, why, seconds } of result.ran) progress.say(`${label}: ${why} (${seconds.toFixed(1)} s)`);
      if (options.json) {
        const list = [...result.targets.values()].map(({ label, how, why, seconds, outputs }) => ({
          label,
          how,
          why,
          seconds,
          outputs: outputs.map(({ path, absolute, sha256 }) => ({ path, absolute, sha256 })),
        }));
        terminal.print(JSON.stringify(list, undefined, 2));
      } else {
        const { ran, cached, fetched, targets } = result;
        const remote = fetched > 0 ? ` (${fetched} from the remote cache)` : '';
        for (const { outputs } of targets.size <= 3 ? targets.values() : [])
          for (const { absolute } of outputs) terminal.print(absolute);
        const short = builder.labels.length - targets.size;
        const mark = short === 0 ? terminal.paint.good('✓') : terminal.paint.bad('✗');
        const without = short === 0 ? '' : `, ${short} not built`;
        progress.say(
          `${mark} ${count(targets.size, 'target')}${without}: ${count(ran.length, 'action')} ran, ${cached} cached${remote}`,
        );
      }
      for (const fault of result.failures) process.stderr.write(`${renderFault(fault, { color: terminal.color })}\n`);
      if (result.failures.length > 0) process.exitCode = 1;
    });
}

export function jobCount(text: string): number {
  const jobs = Number(text);
  if (!/^[0-9]{1,4}$/.test(text) || jobs < 1) {
    throw new UsageFault('cli/wrong-use', `--jobs takes a number from 1 to 9999, not '${text}'`);
  }
  return jobs;
}
