import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Server } from 'node:tls';
import { type Database, traced } from '../database/index.ts';
import type { Environment } from '../graph/index.ts';
import { KubeFault, onRequest } from '../kube/index.ts';
import {
  type CheckProvenance,
  type Clusters,
  type Concerning,
  type EvidenceSources,
  migrateDrift,
  openPlacementStore,
  type ReleaseContent,
} from '../release/index.ts';
import { toldOf } from '../trace/index.ts';
import { createApp } from './app.ts';
import { untilAtRest } from './at-rest.ts';
import { lead } from './lead.ts';
import { namesOf } from './logging.ts';
import { collectDatabase, collectProcess, countPassage, createMetrics } from './metrics/index.ts';
import type { SealKeys } from './sealing.ts';
import type { SignIn } from './sign-in.ts';
import { followTls, readTls, type TlsFiles } from './tls.ts';
import { openTokens, type Tokens } from './tokens.ts';
import { startDeliveries } from './webhooks/deliver.ts';
import { openWebhooks } from './webhooks/store.ts';

export interface ServerOptions {
  readonly database: Database;
  readonly environments: ReadonlyMap<string, Environment>;
  readonly fetchRelease: (reference: string, signal: AbortSignal) => Promise<ReleaseContent>;
  /** How a release is held against an environment's policy; a gate that asks for that stays shut without it. */
  readonly checkProvenance?: CheckProvenance | undefined;
  /** How the environments' clusters are reached; without it no rollout gets beyond its gates, and each says so. */
  readonly clusters?: Clusters | undefined;
  /** What stands beside an image in its registry, for evidence; nothing does where it is absent. */
  readonly statementsOn?: EvidenceSources['statementsOn'] | undefined;
  /** Policies of environments, as they were when they were read. */
  readonly policies?: EvidenceSources['policies'] | undefined;
  /** Ways of knowing who calls, beside the server's own tokens. */
  readonly signIns?: readonly SignIn[] | undefined;
  readonly version: string;
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  readonly log?: NodeJS.WritableStream | undefined;
  /** It speaks TLS with this certificate, and takes a new one when the files change; plain HTTP where it is absent. */
  readonly tls?: TlsFiles | undefined;
  /** What secrets are sealed with in the database; without them none are kept there. */
  readonly secretKeys?: SealKeys | undefined;
  /** What is wrong with how it was started, and does not keep it from running: a line of the log each. */
  readonly warnings?: readonly string[] | undefined;
  /** Milliseconds that a leader may be silent. */
  readonly leaseTime?: number;
  readonly now?: () => number;
}

export interface RunningServer {
  /** `http://127.0.0.1:7700` */
  readonly url: string;
  readonly tokens: Tokens;
  /** Waits until nothing goes on by itself. @returns how many rollouts wait for a gate */
  atRest(signal: AbortSignal): Promise<number>;
  /** Ends calls that are under way, gives the lease back; the database and the clusters are the caller's. */
  stop(): Promise<void>;
}

/** Brings the database to its form, serves the API, and seeks to lead. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const {
    environments,
    fetchRelease,
    clusters = noClusters,
    version,
    host,
    port,
    log,
    now = Date.now,
    statementsOn = async () => [],
    signIns = [],
    policies = new Map(),
  } = options;
  const metrics = createMetrics();
  collectProcess(metrics, version);
  const database = traced(options.database, (seconds, result) =>
    metrics.observe('banksman_database_transaction_duration_seconds', seconds, [result]),
  );
  collectDatabase(metrics, database, now);
  const store = await openPlacementStore(database, options.checkProvenance);
  await migrateDrift(database);
  const tokens = await openTokens(database);
  const warnings = [...(options.warnings ?? [])];
  const webhooks = await openWebhooks(database, options.secretKeys, (text) => warnings.push(text));
  const stopCounting = [
    store.onPassage((passage) => countPassage(metrics, passage)),
    onRequest(({ method, result, seconds }) =>
      metrics.observe('banksman_kubernetes_request_duration_seconds', seconds, [method, result]),
    ),
  ];
  const given = { environments, fetchRelease, clusters: options.clusters, statementsOn, policies };
  const context = { database, store, tokens, signIns: [tokens, ...signIns], webhooks, now, ...given };
  const tls = options.tls && (await readTls(options.tls));
  const app = createApp({ context, metrics, version, log, tls });
  for (const warning of warnings) app.log.warn(warning);
  const url = await app.listen({ host, port });
  const following =
    options.tls &&
    tls &&
    followTls(app.server as unknown as Server, options.tls, tls, (error) => app.log.error({ err: error }));
  const holder = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
  const onError = (error: unknown, about: string, names?: Concerning) => {
    metrics.count('banksman_rollout_retries_total', [toldOf(error)[0]]);
    const { rollout } = names ?? {};
    app.log.error({ err: error, ...names, ...(names && rollout && namesOf({ ...names, rollout })) }, about);
  };
  const stopTelling = store.onPassage((passage) => {
    const { from, to } = passage;
    app.log.info({ ...namesOf(passage), from: from?.state, state: to.state, why: to.why }, `rollout ${to.state}`);
  });
  const leading = lead({
    database,
    executor: {
      store,
      environments,
      clusters,
      fetchRelease,
      now,
      source: holder,
      // Where the lease is short, so is everything.
      ...(options.leaseTime !== undefined && { poll: Math.min(1_000, options.leaseTime / 5) }),
      onError,
    },
    metrics,
    ...(options.leaseTime !== undefined && { leaseTime: options.leaseTime }),
    onError,
  });
  const deliveries = startDeliveries({
    database,
    keys: options.secretKeys,
    holder,
    now,
    leaseTime: options.leaseTime ?? 15_000,
    onError: (error) => app.log.error({ err: error }, 'delivering webhooks failed'),
    onAttempt: (result) => metrics.count('banksman_webhook_deliveries_total', [result]),
  });
  return {
    url,
    tokens,
    atRest: (signal) => untilAtRest(store, signal),
    async stop() {
      following?.stop();
      await Promise.all([leading.stop(), deliveries.stop()]);
      await app.close();
      for (const stop of [...stopCounting, stopTelling]) stop();
    },
  };
}

const noClusters: Clusters = {
  open: ({ cluster }) => Promise.reject(new KubeFault('kube/no-kubeconfig', `nothing tells how ${cluster} is reached`)),
  forget() {},
  close() {},
};
