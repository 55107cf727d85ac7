import type { FastifyRequest } from 'fastify';
import { isFault, withoutSecrets } from '../fault/index.ts';
import type { Passage } from '../release/index.ts';
import { parseTraceparent } from '../trace/index.ts';

/** What a line of the log is about: the same names in every line, so that a search finds all of a rollout. */
export interface LogNames {
  readonly service?: string | undefined;
  readonly environment?: string | undefined;
  readonly rollout?: string | undefined;
  readonly release?: string | undefined;
  readonly traceId?: string | undefined;
}

/** An error as the log has it: what a person reads, and where in this program; no file that it is about, and nothing that must not be told. */
export function errorView(error: unknown, depth = 0): object {
  if (!(error instanceof Error)) return { message: withoutSecrets(String(error)) };
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown };
  const { place, notes = [] } = isFault(error) ? error : {};
  return {
    type: error.name,
    ...(typeof code === 'string' && { code }),
    message: withoutSecrets(error.message),
    ...(notes.length > 0 && { notes: notes.slice(0, 20) }),
    ...(place !== undefined && { place: place.line === undefined ? place.file : `${place.file}:${place.line}` }),
    ...(depth === 0 && { stack: withoutSecrets(error.stack ?? '') }),
    ...(cause !== undefined && depth < 5 && { cause: errorView(cause, depth + 1) }),
  };
}

/** A request as the log has it. What stands behind `?` may be anything, a token in the wrong place too. */
export function requestView({ method, url, ip }: FastifyRequest): object {
  return { method, path: url.split('?')[0], ip };
}

export function namesOf({ service, environment, rollout }: Omit<Passage, 'to' | 'place'>): LogNames {
  const { id, release, trace } = rollout;
  return { service, environment, rollout: id, release: release.id, traceId: parseTraceparent(trace)?.traceId };
}
