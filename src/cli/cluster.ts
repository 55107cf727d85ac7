import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { Environment } from '../graph/index.ts';
import { clusterAccess } from '../local/index.ts';
import type { ClusterAccess } from '../release/index.ts';
import { UsageFault } from './usage.ts';

/** Go source that the local cluster's programs are built from. */
export const engineSource = fileURLToPath(new URL('../../engine', import.meta.url));

export interface ClusterChoice {
  /** Name of a cluster on this machine. */
  readonly cluster?: string;
  /** Context of the user's kubeconfig, in place of a cluster on this machine. */
  readonly context?: string;
}

export function withClusterOptions(command: Command): Command {
  return command
    .option(
      '--cluster <name>',
      'a cluster on this machine, by name ($BANKSMAN_CLUSTER); the environment says unless told',
    )
    .option('--context <name>', 'a cluster of your kubeconfig ($KUBECONFIG or ~/.kube/config) in its place');
}

export function withEnvironmentOption(command: Command): Command {
  return command.option('--env <name>', 'the environment of banksman.yaml', 'dev');
}

/** The name of the local cluster that is meant, or undefined where a context is. */
export function localName(choice: ClusterChoice, environment?: Environment): string | undefined {
  if (choice.context !== undefined) {
    if (choice.cluster !== undefined) {
      throw new UsageFault('cli/wrong-use', '--cluster and --context exclude each other', {
        next: 'give --cluster for a cluster on this machine, or --context for one of your kubeconfig',
      });
    }
    return undefined;
  }
  const named = choice.cluster ?? (process.env.BANKSMAN_CLUSTER || undefined);
  if (named !== undefined) return named;
  return environment?.context === undefined ? (environment?.cluster ?? 'local') : undefined;
}

/**
 * How to reach an environment's cluster and registry.
 *
 * @throws LocalFault where a cluster on this machine is meant that is not up
 * @throws UsageFault where images would be pushed to this machine's registry for a cluster that can't reach it
 */
export async function reachCluster(
  choice: ClusterChoice,
  environment: Environment,
  options: { readonly pushes: boolean },
): Promise<ClusterAccess> {
  const name = localName(choice, environment);
  if (name !== undefined) return await clusterAccess(name);
  if (options.pushes && environment.registry === 'registry.local') {
    throw new UsageFault(
      'cli/wrong-use',
      `the environment '${environment.name}' has no registry that another cluster could pull from`,
      { next: `set 'registry: HOST/PATH' for it in banksman.yaml` },
    );
  }
  return { context: choice.context ?? environment.context };
}
