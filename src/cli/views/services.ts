import type { DeployEvent, Phase, PodStatus, ServiceDeployment, ServiceStatus } from '../../release/index.ts';
import type { Paint } from '../terminal.ts';

/** Services and their pods, for `status`. */
export function serviceLines(services: readonly ServiceStatus[], paint: Paint): string[] {
  const width = Math.max(0, ...services.map(({ service }) => service.length));
  return services.flatMap((service) => {
    const { health } = service;
    const word =
      health === 'healthy' ? paint.good(health) : health === 'failed' ? paint.bad(health) : paint.warn(health);
    const release = service.release === undefined ? '' : `  release ${service.release.slice(0, 12)}`;
    const commit =
      service.origin?.commit === undefined
        ? ''
        : `  commit ${service.origin.commit.slice(0, 10)}${service.origin.dirty ? ' + edits' : ''}`;
    const message = health === 'healthy' || service.message === '' ? '' : `  ${service.message}`;
    return [
      `${service.service.padEnd(width)}  ${word}${paint.faint(`${release}${commit}`)}${message}`,
      ...service.pods.map((pod) => `  ${podLine(pod, paint)}`),
    ];
  });
}

function podLine(pod: PodStatus, paint: Paint): string {
  const state = pod.ready ? paint.good('ready') : paint.warn(pod.state);
  const restarts = pod.restarts === 0 ? '' : `  ${pod.restarts} ${pod.restarts === 1 ? 'restart' : 'restarts'}`;
  return `${pod.name}  ${state}  ${age(pod.createdAt)}${restarts}`;
}

/** `12s`, `5m`, `3h`, `9d`: as kubectl shows an age. */
export function age(createdAt: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(createdAt)) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** What a rollout's live view shows: the newest event of each service. */
export function rolloutLines(events: ReadonlyMap<string, DeployEvent>, paint: Paint): string[] {
  const width = Math.max(0, ...[...events.keys()].map((label) => label.length));
  return [...events].map(
    ([label, { phase, message }]) => `${mark(phase, paint)} ${label.padEnd(width)}  ${phase}  ${paint.faint(message)}`,
  );
}

export function mark(phase: Phase, paint: Paint): string {
  if (phase === 'healthy') return paint.good('✓');
  if (phase === 'unchanged') return paint.faint('=');
  if (phase === 'failed') return paint.bad('✗');
  return paint.warn('·');
}

/** A rollout's end as one line. */
export function resultLine(result: ServiceDeployment, width: number, paint: Paint): string {
  const seconds = `${(result.duration / 1000).toFixed(1)} s`;
  const changed = result.changes.filter(({ action }) => action !== 'unchanged');
  const objects =
    changed.length === 0 ? '' : `  ${changed.length} ${changed.length === 1 ? 'object' : 'objects'} changed`;
  const word =
    result.result === 'healthy'
      ? paint.good('healthy')
      : result.result === 'unchanged'
        ? 'unchanged'
        : paint.bad(result.result);
  return `${mark(result.result, paint)} ${result.service.label.padEnd(width)}  ${word}  release ${result.release.slice(0, 12)}${paint.faint(`${objects}  ${seconds}`)}`;
}
