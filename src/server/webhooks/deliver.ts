import { type AuditEntry, readEntries } from '../../audit/index.ts';
import type { Database } from '../../database/index.ts';
import { dropLeaderLease, type LeaderLease, takeLeaderLease } from '../../release/index.ts';
import { inSpan, parseTraceparent, traceparent } from '../../trace/index.ts';
import type { SealKeys } from '../sealing.ts';
import { newestEntry } from '../tail.ts';
import { bodyOf, idOf } from './message.ts';
import { nextAttempt } from './schedule.ts';
import { type Sent, send } from './send.ts';
import { signedHeaders } from './sign.ts';
import {
  activeWebhooks,
  disable,
  dueMessages,
  enqueue,
  markDelivered,
  markFailed,
  type OutboxEntry,
  type Webhook,
} from './store.ts';

export interface DeliveryOptions {
  readonly database: Database;
  /** What addresses and secrets are sealed with. */
  readonly keys?: SealKeys | undefined;
  /** Unique among all servers of the database. */
  readonly holder: string;
  readonly now: () => number;
  /** Milliseconds that who delivers may be silent. */
  readonly leaseTime: number;
  readonly onError: (error: unknown) => void;
  /** What became of an attempt. */
  readonly onAttempt?: ((result: 'delivered' | 'failed' | 'given-up') => void) | undefined;
}

/** Milliseconds that a receiver has for its answer. */
const patience = 15_000;
/** Milliseconds between two looks for what is to be sent. */
const pace = 250;
/** The same after something went wrong. */
const paceOfTrouble = 2_000;
/** Messages that are under way to one receiver at a time. */
const perReceiver = 4;
/** Entries of the audit log that are looked at together. */
const page = 500;
/** HTTP: the receiver is gone for good, and says so. */
const gone = 410;

/**
 * Sends what happens to whoever wants to know, each at least once, on one server at a time. What is to be sent stands in the database from
 * before it is sent until it has arrived, so that a server which is killed half-way sends again, under the same id. Receivers do not wait for
 * each other.
 */
export function startDeliveries(options: DeliveryOptions): { stop(): Promise<void> } {
  const { database, keys, holder, now, leaseTime, onError } = options;
  /** Told once, and not with each look. */
  const unreadable = new Set<string>();
  const stopping = new AbortController();
  const underway = new Map<string, Set<number>>();
  const attempts = new Set<Promise<void>>();
  let lease: LeaderLease | undefined;
  let renewed = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<void> = Promise.resolve();
  let wait = pace;

  const once = async () => {
    try {
      if (performance.now() - renewed >= leaseTime / 5) {
        lease = await takeLeaderLease(database, 'webhooks', holder, leaseTime);
        renewed = performance.now();
      }
      if (lease === undefined) return;
      const webhooks = await activeWebhooks(database, keys, (error, id) => {
        if (!unreadable.has(id)) onError(error);
        unreadable.add(id);
      });
      if (webhooks.length === 0) return;
      await fillOutbox(options, lease, webhooks);
      for (const webhook of webhooks) await begin(webhook, lease);
      wait = pace;
    } catch (error) {
      wait = paceOfTrouble;
      lease = undefined;
      renewed = Number.NEGATIVE_INFINITY;
      onError(error);
    }
  };
  const begin = async (webhook: Webhook, held: LeaderLease) => {
    const own = underway.get(webhook.id) ?? new Set<number>();
    underway.set(webhook.id, own);
    const room = perReceiver - own.size;
    if (room <= 0 || stopping.signal.aborted) return;
    const due = await dueMessages(database, webhook.id, now(), perReceiver + own.size);
    for (const message of due.filter(({ number }) => !own.has(number)).slice(0, room)) {
      own.add(message.number);
      const attempt = deliver(options, held, webhook, message, stopping.signal)
        .catch((error: unknown) => {
          if (!stopping.signal.aborted) onError(error);
        })
        .finally(() => {
          own.delete(message.number);
          attempts.delete(attempt);
          wake();
        });
      attempts.add(attempt);
    }
  };
  const next = () => {
    if (stopping.signal.aborted) return;
    timer = setTimeout(go, wait);
  };
  const go = () => {
    timer = undefined;
    turn = once().finally(next);
  };
  /** There is room for the next message: the pause is cut short, where there is one. */
  const wake = () => {
    if (timer === undefined || wait > pace || stopping.signal.aborted) return;
    clearTimeout(timer);
    go();
  };
  go();
  return {
    async stop() {
      stopping.abort();
      clearTimeout(timer);
      await turn;
      await Promise.all(attempts);
      if (lease !== undefined) await dropLeaderLease(database, lease).catch(onError);
    },
  };
}

async function fillOutbox(
  { database, now }: DeliveryOptions,
  lease: LeaderLease,
  webhooks: readonly Webhook[],
): Promise<void> {
  const newest = await newestEntry(database);
  const pages = new Map<number, readonly AuditEntry[]>();
  for (const webhook of webhooks) {
    if (webhook.seen >= newest) continue;
    // Those that are up to date read the same page.
    const entries = pages.get(webhook.seen) ?? (await readEntries(database, { after: webhook.seen, limit: page }));
    pages.set(webhook.seen, entries);
    await enqueue(database, lease, webhook, entries, now());
  }
}

async function deliver(
  { database, now, onAttempt = () => {} }: DeliveryOptions,
  lease: LeaderLease,
  webhook: Webhook,
  message: OutboxEntry,
  signal: AbortSignal,
): Promise<void> {
  const [entry] = await readEntries(database, { after: message.number - 1, limit: 1 });
  if (entry?.number !== message.number) {
    await markFailed(database, lease, webhook.id, message, 'the audit log has no such entry', undefined, now());
    return;
  }
  const sent = await inSpan('webhook delivery', spanOf(webhook, message, entry), async (span) => {
    const sent = await sendTo(webhook, idOf(webhook.id, message.number), bodyOf(entry), now(), patience, signal);
    span?.set({ 'http.response.status_code': sent.status });
    if (!sent.received) span?.fail(sent.status === undefined ? 'no-answer' : String(sent.status), sent.told);
    return sent;
  });
  // It was cut off by us: it is sent again, by whoever goes on.
  if (signal.aborted && !sent.received) return;
  if (sent.received) {
    onAttempt('delivered');
    return await markDelivered(database, lease, webhook.id, message.number, now());
  }
  if (sent.status === gone) await disable(database, lease, webhook.id, 'the receiver answered 410 Gone', now());
  const delay = nextAttempt(message.attempts + 1, sent.wish, Math.random());
  const due = delay === undefined ? undefined : now() + delay;
  onAttempt(due === undefined ? 'given-up' : 'failed');
  await markFailed(database, lease, webhook.id, message, sent.told, due, now());
}

/** Below the rollout that it tells of, where it tells of one. */
function spanOf({ id, url }: Webhook, { number, attempts }: OutboxEntry, { event }: AuditEntry) {
  const { trace } = (event.after ?? {}) as { readonly trace?: unknown };
  const attributes = {
    'banksman.webhook': id,
    'banksman.entry': number,
    'messaging.message.type': event.action,
    'http.request.method': 'POST',
    'http.request.resend_count': attempts,
    'server.address': url.hostname,
  };
  return { kind: 'producer', attributes, parent: parseTraceparent(trace) } as const;
}

/** One attempt. */
export async function sendTo(
  { url, allowLinkLocal, secret }: Pick<Webhook, 'url' | 'allowLinkLocal' | 'secret'>,
  id: string,
  body: string,
  now: number,
  patience: number,
  signal?: AbortSignal,
): Promise<Sent> {
  const trace = traceparent();
  const headers = { ...signedHeaders(id, now, body, secret), ...(trace !== undefined && { traceparent: trace }) };
  return await send({ url, allowLinkLocal, headers, body, patience, signal });
}
