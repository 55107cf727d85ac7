import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import type { Api, KubeObject } from './api.ts';
import { fixedForwards, portalConfigPath, portalStatusPath } from './components/portal.ts';
import type { Layout } from './layout.ts';
import { type Assignment, assignPorts, forwardOf, isPortFree, readBalanced, writeIngress } from './load-balancer.ts';
import { parsePortalStatus } from './probe.ts';
import type { Settings } from './settings.ts';
import type { ServicePort } from './types.ts';

/** The portal's configuration, and what follows from the cluster's Services for it. */
export interface Ports {
  /** Revision of the configuration that the portal should have in force. */
  readonly revision: string;
  /** Follows the Services. Call again after the API was opened anew. @returns what to stop it with */
  follow(api: Api): () => void;
  status(): {
    readonly apiListening: boolean;
    readonly apiReason: string | undefined;
    readonly services: ServicePort[];
  };
}

/**
 * @param onChange called when the portal has to read its configuration again
 */
export async function openPorts(
  layout: Layout,
  settings: Settings,
  onChange: () => void,
  log: (line: string) => void,
): Promise<Ports> {
  // Kept over down and up, so that an address stays what it was.
  const file = join(layout.root, 'ports.json');
  let assignments: Assignment[] = parseAssignments(await readFile(file, 'utf8').catch(() => '[]'));
  let revision = '';

  const write = async (): Promise<void> => {
    const forwards = [...fixedForwards(layout, settings), ...assignments.map(forwardOf)];
    const next = createHash('sha256').update(JSON.stringify(forwards)).digest('hex').slice(0, 16);
    if (next === revision) return;
    await writeAtomically(portalConfigPath(layout), JSON.stringify({ revision: next, forwards }, null, 2), 0o600);
    revision = next;
    onChange();
  };
  await write();

  const update = async (api: Api, objects: readonly KubeObject[]): Promise<void> => {
    const balanced = objects.flatMap((object) => readBalanced(object) ?? []);
    const next = await assignPorts(balanced, assignments, isPortFree);
    if (JSON.stringify(next) !== JSON.stringify(assignments)) {
      assignments = next;
      await writeAtomically(file, JSON.stringify(assignments, null, 2), 0o600);
    }
    await write();
    for (const object of objects) {
      if (object.spec?.type === 'LoadBalancer' && object.spec.loadBalancerClass === undefined) {
        await writeIngress(api, object, assignments);
      }
    }
  };

  return {
    get revision() {
      return revision;
    },
    follow(api) {
      const stop = new AbortController();
      let latest: readonly KubeObject[] | undefined;
      let working = false;
      const work = async () => {
        if (working) return;
        working = true;
        // One at a time, and only for the newest of what came meanwhile.
        while (latest !== undefined && !stop.signal.aborted) {
          const objects: readonly KubeObject[] = latest;
          latest = undefined;
          await update(api, objects).catch((error: Error) => log(`ports of Services: ${error.message}`));
        }
        working = false;
      };
      api.follow(
        '/api/v1/services',
        (services) => {
          latest = [...services.values()];
          void work();
        },
        stop.signal,
      );
      return () => stop.abort();
    },
    status() {
      const forwards = readForwards(layout);
      const api = forwards.get('api');
      return {
        apiListening: api?.listening ?? false,
        apiReason: api?.error,
        services: assignments.map((assignment) => {
          const forward = forwards.get(forwardOf(assignment).name);
          return {
            service: assignment.service,
            port: assignment.port,
            address: `127.0.0.1:${assignment.hostPort}`,
            scheme: assignment.https === true ? 'https' : 'http',
            listening: forward?.listening ?? false,
            ...(forward?.error !== undefined && { reason: forward.error }),
          };
        }),
      };
    },
  };
}

function readForwards(layout: Layout) {
  try {
    const { forwards } = parsePortalStatus(readFileSync(portalStatusPath(layout), 'utf8'));
    return new Map(forwards.map((forward) => [forward.name, forward]));
  } catch {
    return new Map<string, never>(); // the portal isn't there at the moment
  }
}

function parseAssignments(text: string): Assignment[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  if (!Array.isArray(value)) return [];
  return value.filter(
    (one: Partial<Assignment> | null): one is Assignment =>
      typeof one?.service === 'string' &&
      typeof one.port === 'number' &&
      typeof one.hostPort === 'number' &&
      typeof one.clusterAddress === 'string' &&
      typeof one.fixed === 'boolean',
  );
}
