import type { Command } from 'commander';
import {
  affectedSince,
  dependencies,
  type Graph,
  type Label,
  loadGraph,
  loadTargets,
  reverseDependencies,
  targetsMatching,
} from '../../graph/index.ts';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';
import { graphOptions, here } from '../workspace.ts';

interface Selection {
  readonly json?: boolean;
  readonly tests?: boolean;
  readonly images?: boolean;
  readonly services?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command.addHelpText(
    'after',
    `
Examples:
  banksman query targets //bank/...                     every target below bank/
  banksman query deps //bank/ledger:image               what the image is made of
  banksman query revdeps //bank/common/metrics          who would feel a change to it
  banksman query affected --since origin/main           what differs from main, dirty files included
  banksman query affected --since HEAD~1 --to HEAD --tests --json`,
  );
  const print = (labels: readonly Label[], options: Selection) => {
    if (options.json) context.terminal.print(JSON.stringify(labels, undefined, 2));
    else for (const label of labels) context.terminal.print(label);
  };

  withSelection(
    command
      .command('targets')
      .description('labels of the targets that a pattern matches: //..., //a/..., //a:all, //a:b, :b')
      .argument('<patterns...>'),
  ).action(async (patterns: string[], options: Selection) => {
    const { workspace, currentPackage } = await here();
    const { graph, labels } = await loadTargets(workspace, patterns, { ...graphOptions(), from: currentPackage });
    print(select(graph, [...labels].sort(), options), options);
  });

  for (const [name, text, walk] of [
    ['deps', 'what these targets depend on', dependencies],
    ['revdeps', 'what depends on these targets', reverseDependencies],
  ] as const) {
    withSelection(
      command
        .command(name)
        .description(text)
        .argument('<patterns...>')
        .option('--levels <n>', 'how many steps; all unless told', wholeNumber),
    ).action(async (patterns: string[], options: Selection & { levels?: number }) => {
      const { workspace, currentPackage } = await here();
      const graph = await loadGraph(workspace, graphOptions());
      const found = walk(graph, targetsMatching(graph, patterns, currentPackage), options.levels);
      print(select(graph, found, options), options);
    });
  }

  withSelection(
    command
      .command('affected')
      .description('targets that a change affects: exact, by comparing hashes, without touching the work tree')
      .requiredOption('--since <rev>', 'the commit to compare with: a branch, a tag, HEAD~1')
      .option('--to <rev>', 'the commit that holds the change; the work tree, dirty files included, unless told'),
  ).action(async (options: Selection & { since: string; to?: string }) => {
    const { workspace } = await here();
    const { since, to } = options;
    const result = await affectedSince(workspace, { ...graphOptions(), since, to });
    if (result.note !== undefined) context.progress.say(`note: ${result.note}`);
    print(select(result.after, result.targets, options), options);
  });
}

function withSelection(command: Command): Command {
  return command
    .option('--tests', 'only tests')
    .option('--images', 'only images')
    .option('--services', 'only services')
    .option('--json', 'a JSON list of labels');
}

/** Kinds asked for together add up: `--tests --images` gives both. */
function select(graph: Graph, labels: readonly Label[], options: Selection): readonly Label[] {
  if (!options.tests && !options.images && !options.services) return labels;
  return labels.filter((label) => {
    const target = graph.targets.get(label);
    if (target === undefined) return false;
    if (target.test !== undefined) return options.tests === true;
    if (target.rule === 'docker_image') return options.images === true;
    return target.rule === 'k8s_config' && options.services === true;
  });
}

function wholeNumber(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) {
    throw new UsageFault('cli/wrong-use', `--levels takes a whole number, not '${text}'`);
  }
  return Number(text);
}
