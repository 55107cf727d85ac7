import type { Command } from 'commander';
import {
  createTargetHasher,
  directDependencies,
  type Graph,
  type Label,
  loadTargets,
  loadWorkspaceGraph,
  outputPaths,
  reached,
  type Workspace,
} from '../../../graph/index.ts';
import type { CommandContext } from '../../context.ts';
import { graphOptions, here } from '../../workspace.ts';
import { identify } from './identify.ts';

interface Options {
  readonly json?: boolean;
  readonly hashes?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  command
    .description('the whole graph, or all that some targets depend on: one line "target -> dependency" for each edge')
    .argument('[patterns...]')
    .option('--json', 'every target with its rule, labels, files, outputs and dependencies')
    .option('--hashes', 'with --json: the hash of each target, the tools of this machine included')
    .action(async (patterns: string[], options: Options) => {
      const { workspace, currentPackage } = await here();
      const { graph, labels } = await wanted(workspace, patterns, currentPackage);
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
): Promise<{ readonly graph: Graph; readonly labels: readonly Label[] }> {
  if (patterns.length === 0) {
    const graph = await loadWorkspaceGraph(workspace, graphOptions());
    return { graph, labels: [...graph.targets.keys()].sort() };
  }
  const { graph, labels } = await loadTargets(workspace, patterns, { ...graphOptions(), from });
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
