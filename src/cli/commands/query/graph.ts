import type { Command } from 'commander';
import {
  createTargetHasher,
  directDependencies,
  type Graph,
  type Label,
  type LoadOptions,
  loadTargets,
  loadWorkspaceGraph,
  outputPaths,
  reached,
  type Workspace,
} from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { UsageFault } from '../../usage.ts';
import { here } from '../../workspace.ts';
import { identify } from './identify.ts';
import { type KeepGoing, queryOptions, withKeepGoing } from './keep-going.ts';

interface Options extends KeepGoing {
  readonly json?: boolean;
  readonly hashes?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withKeepGoing(command)
    .description('the whole graph, or all that some targets depend on: one line "target -> dependency" for each edge')
    .argument('[patterns...]')
    .option('--json', 'every target with its rule, labels, files, outputs and dependencies')
    .option('--hashes', 'with --json: the hash of each target, the tools of this machine included')
    .action(async (patterns: string[], options: Options) => {
      if (options.hashes && options.keepGoing) {
        throw new UsageFault('cli/wrong-use', '--hashes are of a whole graph: leave --keep-going out');
      }
      const { workspace, currentPackage } = await here();
      const { graph, labels } = await wanted(workspace, patterns, currentPackage, queryOptions(context, options));
      if (options.json) context.terminal.print(JSON.stringify(await graphJson(graph, labels, options), undefined, 2));
      else {
        const edges = labels.flatMap((label) => directDependencies(graph, label).map((each) => `${label} -> ${each}`));
        if (edges.length > 0) context.terminal.print(edges.join('\n'));
      }
    });
}

async function wanted(
  workspace: Workspace,
  patterns: readonly string[],
  from: string,
  options: LoadOptions,
): Promise<{ readonly graph: Graph; readonly labels: readonly Label[] }> {
  if (patterns.length === 0) {
    const graph = await loadWorkspaceGraph(workspace, options);
    return { graph, labels: [...graph.targets.keys()].sort() };
  }
  const { graph, labels } = await loadTargets(workspace, patterns, { ...options, from });
  return { graph, labels: reached(graph, labels) };
}

async function graphJson(graph: Graph, labels: readonly Label[], { hashes }: Options) {
  const hash = hashes ? createTargetHasher(graph, { extraInputs: await identify([graph]) }) : undefined;
  return {
    targets: labels.map((label) => {
      const target = graph.targets.get(label)!;
      const files = [...target.srcs.all, ...target.data.all];
      return {
        label,
        rule: target.rule,
        labels: target.labels,
        test: target.test !== undefined,
        inputs: [...new Set(files.flatMap((input) => (input.kind === 'file' ? [input.path] : [])))],
        outputs: outputPaths(target, (each) => graph.targets.get(each)),
        dependencies: directDependencies(graph, label),
        ...(hash !== undefined && { hash: hash(label) }),
      };
    }),
  };
}
