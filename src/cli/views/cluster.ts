import { homedir } from 'node:os';
import type { ClusterStatus } from '../../local/index.ts';
import type { Paint } from '../terminal.ts';

/** The cluster as a few lines: its state, and how it is reached. */
export function clusterLines(status: ClusterStatus, paint: Paint): string[] {
  const state = status.state === 'running' ? paint.good(status.state) : paint.warn(status.state);
  const version = status.versions.kubernetes === undefined ? '' : `  Kubernetes ${status.versions.kubernetes}`;
  const lines = [`${paint.strong(`cluster ${status.name}`)}  ${state}${version}`];
  if (status.state === 'absent') return [...lines, "  start it with 'banksman up'"];
  if (status.state === 'stopped') return [...lines, "  start it again with 'banksman up'; its state is kept"];
  const memory = status.processes.reduce((sum, { rss }) => sum + rss, 0);
  const { node, dns } = status;
  lines.push(
    `  node ${node.name} ${ready(node, paint)}, dns ${ready(dns, paint)}, memory ${Math.round(memory / 1024 / 1024)} MiB`,
  );
  for (const { name, state, reason, restarts } of status.processes) {
    if (state !== 'ready') lines.push(`  ${paint.bad(name)} ${state}${reason === undefined ? '' : `: ${reason}`}`);
    else if (restarts > 0)
      lines.push(`  ${paint.warn(name)} was restarted ${restarts} ${restarts === 1 ? 'time' : 'times'}`);
  }
  if (status.api !== undefined)
    lines.push(`  api   ${status.api}  ${paint.faint(`KUBECONFIG=${shortened(status.kubeconfig)}`)}`);
  for (const { service, port, address, scheme, listening, reason } of status.ports) {
    const problem = listening ? '' : `  ${paint.bad(reason ?? 'not listening')}`;
    lines.push(`  ${scheme}://${address}  ${paint.faint(`service ${service}:${port}`)}${problem}`);
  }
  return lines;
}

function ready(part: { readonly ready: boolean; readonly reason?: string }, paint: Paint): string {
  return part.ready ? paint.good('ready') : paint.bad(part.reason ?? 'not ready');
}

/** `~/...` for what is below the home folder: a shell reads it so behind `KUBECONFIG=`. */
function shortened(path: string): string {
  const home = homedir();
  return path.startsWith(`${home}/`) && !/[^\w./@+-]/.test(path) ? `~${path.slice(home.length)}` : path;
}
