import type { Environment } from '../../graph/index.ts';
import { openSession, type Session } from '../cluster/session.ts';
import type { ClusterAccess } from '../types.ts';

/** The clusters of the environments, each reached in its own way. */
export interface Clusters {
  /** A session of an environment; the same for all who ask, until it is forgotten. */
  open(environment: Environment): Promise<Session>;
  /** The next who asks gets a new one: credentials may be others by then. */
  forget(environment: Environment): void;
  close(): void;
}

/** @param access how an environment's cluster is reached: by a context, by what `local` says, by the own service account */
export function openClusters(access: (environment: Environment) => Promise<ClusterAccess> | ClusterAccess): Clusters {
  const sessions = new Map<string, Promise<Session>>();
  const end = (session: Promise<Session> | undefined) => {
    session?.then(
      (open) => open.close(),
      () => {},
    );
  };
  return {
    open(environment) {
      const known = sessions.get(environment.name);
      if (known !== undefined) return known;
      const opening = (async () => openSession(await access(environment), environment))();
      sessions.set(environment.name, opening);
      opening.catch(() => {
        if (sessions.get(environment.name) === opening) sessions.delete(environment.name);
      });
      return opening;
    },
    forget({ name }) {
      end(sessions.get(name));
      sessions.delete(name);
    },
    close() {
      for (const session of sessions.values()) end(session);
      sessions.clear();
    },
  };
}
