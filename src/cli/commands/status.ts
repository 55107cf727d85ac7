import type { Command } from 'commander';
import { isFault } from '../../fault/index.ts';
import { GraphFault, type Label, splitLabel } from '../../graph/index.ts';
import { type ClusterStatus, status } from '../../local/index.ts';
import {
  createWorkspaceBuilder,
  environmentOf,
  type Service,
  type ServiceStatus,
  serviceStatus,
} from '../../release/index.ts';
import { apiOf, namesServer, refuseClusterChoice, type ServerChoice, withServerOption } from '../api.ts';
import { type ClusterChoice, localName, reachCluster, withClusterOptions, withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { placementsIn } from '../placements.ts';
import { clusterLines } from '../views/cluster.ts';
import { placementLines } from '../views/placements.ts';
import { serviceLines } from '../views/services.ts';
import { here } from '../workspace.ts';

interface Options extends ClusterChoice, ServerChoice {
  readonly env: string;
  readonly kind?: string;
  readonly state?: string;
  readonly json?: boolean;
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(withClusterOptions(withEnvironmentOption(command)))
    .option('--kind <kind>', 'of a server: only services, or only infrastructure')
    .option('--state <state>', 'of a server: only where what runs is healthy, failed, ..., or absent')
    .option('--json', 'print everything as JSON: {cluster, services}')
    .addHelpText(
      'after',
      `
Where a server is named ($BANKSMAN_SERVER, --server), it says what of each service runs in the environment, since when, of which commit,
what is under way and what holds it; else the cluster is asked.

Examples:
  banksman status
  banksman status --env dev --json
  banksman status --context my-cluster`,
    )
    .action(async (options: Options) => {
      // Pods are asked of the cluster: only who names a server leaves them out.
      if (namesServer(options)) return await serverStatus(options, context);
      const { terminal } = context;
      const result = await readStatus(options, context);
      if (options.json) return terminal.print(JSON.stringify(result, undefined, 2));
      const { paint } = terminal;
      if (result.cluster !== undefined) for (const line of clusterLines(result.cluster, paint)) terminal.print(line);
      if (result.services.length > 0) terminal.print('');
      for (const line of serviceLines(result.services, paint)) terminal.print(line);
      if (result.note !== undefined) terminal.print(`${paint.warn('note')}: ${result.note}`);
    });
}

async function serverStatus(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  refuseClusterChoice(options);
  const { env, kind, state } = options;
  const placements = await placementsIn(apiOf(options, context), env, { kind, state });
  if (options.json) return terminal.print(JSON.stringify({ environment: env, services: placements }, undefined, 2));
  if (placements.length === 0) terminal.print('the server knows no such service');
  for (const line of placementLines(placements, terminal.paint)) terminal.print(line);
}

interface Status {
  /** Absent where a context of the user's kubeconfig is meant. */
  readonly cluster?: ClusterStatus;
  readonly services: readonly ServiceStatus[];
  /** Why nothing is known of the services in the cluster. */
  readonly note?: string;
}

async function readStatus(options: ClusterChoice & { env: string }, context: CommandContext): Promise<Status> {
  const workspace = await here()
    .then((found) => found.workspace)
    .catch((error: unknown) => {
      // Outside a workspace there are no services to show, and that is no error.
      if (error instanceof GraphFault && error.code === 'graph/no-workspace') return undefined;
      throw error;
    });
  const environment = workspace === undefined ? undefined : environmentOf(workspace, options.env);
  const name = localName(options, environment);
  const cluster = name === undefined ? undefined : await status({ name });
  const base = cluster === undefined ? {} : { cluster };
  if (workspace === undefined || environment === undefined) return { ...base, services: [] };
  let services: readonly Service[];
  try {
    services = (
      await createWorkspaceBuilder(workspace, { progress: context.progress, signal: context.signal })
    ).services();
  } catch (error) {
    // A broken BUILD file must not hide how the cluster is.
    if (!isFault(error) || context.signal.aborted) throw error;
    return { ...base, services: [], note: `the workspace's services can't be read: ${error.message}` };
  }
  if (cluster !== undefined && ['absent', 'stopped', 'broken'].includes(cluster.state)) {
    return { ...base, services: services.map((service) => unknown(service, environment.name)) };
  }
  try {
    const access = await reachCluster(options, environment, { pushes: false });
    const found = await serviceStatus({ services, environment, cluster: access, signal: context.signal });
    // What was never meant to be here, and is not, is no news.
    const shown = found.filter(({ service, health }) => health !== 'absent' || isMeant(service, environment.services));
    return { ...base, services: shown };
  } catch (error) {
    if (!isFault(error) || context.signal.aborted) throw error;
    return { ...base, services: services.map((service) => unknown(service, environment.name)), note: error.message };
  }
}

/** Whether a label is among an environment's services: `//a/...`, `//a`, `//a:b`, `//a:all`. */
function isMeant(label: string, patterns: readonly string[] = ['//...']): boolean {
  const { package: own } = splitLabel(label as Label);
  return patterns.some((pattern) => {
    const below = /^\/\/(?:(.*)\/)?\.\.\.$/.exec(pattern);
    if (below !== null) return below[1] === undefined || own === below[1] || own.startsWith(`${below[1]}/`);
    const all = /^\/\/(.*):all$/.exec(pattern);
    if (all !== null) return own === all[1];
    return label === (pattern.includes(':') ? pattern : `${pattern}:${pattern.split('/').at(-1)}`);
  });
}

function unknown(service: Service, environment: string): ServiceStatus {
  return {
    service: service.label,
    name: service.name,
    owner: service.owner,
    environment,
    release: undefined,
    origin: undefined,
    images: [],
    lastRollout: undefined,
    health: 'unknown',
    message: 'the cluster is not running',
    pods: [],
  };
}
