import type { Cluster } from '../../kube/index.ts';
import { createClusterStore } from '../cluster/cluster-store.ts';
import type { Session } from '../cluster/session.ts';
import { ReleaseFault } from '../fault.ts';
import type { LeaderLease } from '../placement/index.ts';

/** The right to act, while it lasts. */
export interface Leadership {
  readonly lease: LeaderLease;
  /** Aborts when the right has ended: everything stops. */
  readonly signal: AbortSignal;
  /**
   * Whether it is still held, by this machine's own clock, now. The signal alone is not enough: a process that was stopped for a
   * while wakes in the middle of something, before any timer runs.
   */
  holds(): boolean;
}

/** A session that writes nothing to its cluster once the right to act has ended. */
export function guarded(session: Session, leadership: Leadership): Session {
  const { cluster } = session;
  const require = (method: string | undefined) => {
    if ((method ?? 'GET') === 'GET' || leadership.holds()) return;
    throw notLeader(leadership.lease);
  };
  const own: Cluster = {
    ...cluster,
    async request(request) {
      require(request.method);
      return await cluster.request({ ...request, signal: request.signal ?? leadership.signal });
    },
    async answer(request) {
      require(request.method);
      return await cluster.answer({ ...request, signal: request.signal ?? leadership.signal });
    },
  };
  return { ...session, cluster: own, store: createClusterStore(own, session.namespace, session.memory.records) };
}

export function notLeader({ name, holder }: LeaderLease): ReleaseFault {
  return new ReleaseFault('release/not-leader', `${holder} holds ${name} no more`, {
    next: 'nothing: another server has taken over and goes on',
  });
}
