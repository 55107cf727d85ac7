import { randomBytes } from 'node:crypto';
import { type AuditEntry, audited, migrateAudit } from '../../audit/index.ts';
import { type Connection, type Database, type Migration, migrate } from '../../database/index.ts';
import { hide } from '../../fault/index.ts';
import { type Actor, type LeaderLease, requireLease } from '../../release/index.ts';
import { publicActions } from '../events.ts';
import { ServerFault } from '../fault.ts';
import { type SealKeys, seal, unseal } from '../sealing.ts';
import { parseAddress, shown } from './address.ts';
import { newSecret } from './sign.ts';

const migrations: readonly Migration[] = [
  {
    name: 'webhooks-1',
    statements: `
      CREATE TABLE webhooks (
        id text PRIMARY KEY,
        url text NOT NULL,
        allow_link_local boolean NOT NULL,
        events text NOT NULL,
        -- Whoever signs needs it as it is: who can read this table can sign in our name to these receivers.
        secret text NOT NULL,
        made_at timestamptz(3) NOT NULL,
        made_by text NOT NULL,
        -- Entries of the audit log up to this one are in the outbox, or were of no interest.
        seen bigint NOT NULL,
        delivered bigint NOT NULL DEFAULT 0,
        delivered_at timestamptz(3),
        disabled text
      );

      -- What is still to be delivered, and what was given up.
      CREATE TABLE webhook_outbox (
        webhook text NOT NULL REFERENCES webhooks ON DELETE CASCADE,
        number bigint NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        due_at timestamptz(3) NOT NULL,
        told text,
        dead boolean NOT NULL DEFAULT false,
        PRIMARY KEY (webhook, number)
      );
      CREATE INDEX webhook_outbox_due ON webhook_outbox (webhook, due_at) WHERE NOT dead;
    `,
  },
  {
    // Programs from before, which would take what is sealed for the secret itself, refuse this database.
    name: 'webhooks-2',
    statements: `
      -- Id of the key that url and secret are sealed with; NULL while they lie in the clear.
      ALTER TABLE webhooks ADD COLUMN sealed_with text;
    `,
  },
];

export interface WebhookRequest {
  readonly url: string;
  /** `rollout.failed`, or `rollout.*` for all of a kind; everything that is for everybody where it is empty. */
  readonly events: readonly string[];
  readonly allowLinkLocal: boolean;
}

/** A subscription without its secret. */
export interface WebhookView {
  readonly id: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly madeAt: string;
  readonly by: string;
  /** Messages that wait to be sent, or sent again. */
  readonly pending: number;
  /** Messages that were given up. */
  readonly dead: number;
  /** The number of messages that were delivered, and when the last one was. */
  readonly delivered: number;
  readonly deliveredAt?: string;
  /** What the receiver last did wrong. */
  readonly trouble?: string;
  /** Why nothing is sent any more. */
  readonly disabled?: string;
}

/** A subscription as the deliverer needs it. */
export interface Webhook {
  readonly id: string;
  readonly url: URL;
  readonly allowLinkLocal: boolean;
  readonly events: readonly string[];
  readonly secret: string;
  readonly seen: number;
}

interface WebhookRow {
  readonly id: string;
  readonly url: string;
  readonly allow_link_local: boolean;
  readonly events: string;
  readonly secret: string;
  readonly sealed_with: string | null;
  readonly made_at: Date;
  readonly made_by: string;
  readonly seen: number;
  readonly delivered: number;
  readonly delivered_at: Date | null;
  readonly disabled: string | null;
}

export interface OutboxEntry {
  readonly number: number;
  readonly attempts: number;
}

/** Who is told of what happens. */
export interface Webhooks {
  /** @returns the secret, this once */
  create(request: WebhookRequest, actor: Actor, now: number): Promise<{ readonly id: string; readonly secret: string }>;
  list(): Promise<readonly WebhookView[]>;
  /** @throws ServerFault server/unknown-webhook */
  find(id: string): Promise<Webhook>;
  /** @throws ServerFault server/unknown-webhook */
  remove(id: string, actor: Actor, now: number): Promise<void>;
  /** Sends what was given up once more, and begins again where nothing was sent any more. @returns the number of messages */
  retry(id: string, actor: Actor, now: number): Promise<number>;
}

const eventForm = /^[a-z]+\.(?:\*|[a-z-]+)$/;

/**
 * Brings the database to its form, and what lies there in the clear, or sealed by an older key, under the newest one.
 *
 * @param keys without them no webhook is made; those that lie in the clear still get their messages
 * @param warn told what is not as it should be
 */
export async function openWebhooks(
  database: Database,
  keys: SealKeys | undefined,
  warn: (text: string) => void = () => {},
): Promise<Webhooks> {
  await migrateAudit(database);
  await migrate(database, 'webhooks', migrations);
  await sealAnew(database, keys, warn);
  return {
    async create({ url: text, events, allowLinkLocal }, actor, now) {
      const url = parseAddress(text, allowLinkLocal);
      const strange = events.find((event) => !eventForm.test(event) || !publicActions.test(event));
      if (strange !== undefined) {
        throw new ServerFault('server/bad-request', `${strange} is no kind of event`, {
          next: 'give rollout.*, rollout.failed, hold.*, approval.*, release.*, train.*, test.*, emergency.* or provenance.*',
        });
      }
      if (keys === undefined) throw noKey();
      const id = `wh_${randomBytes(6).toString('hex')}`;
      const secret = newSecret();
      await audited(database, now, async (connection, record) => {
        const [last] = await connection.query<{ number: number }>(
          'SELECT coalesce(max(number), 0)::bigint AS number FROM audit_entries',
        );
        await connection.query(
          `INSERT INTO webhooks (id, url, allow_link_local, events, secret, sealed_with, made_at, made_by, seen)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
          [
            id,
            seal(keys, url.href, addressOf(id)),
            allowLinkLocal,
            JSON.stringify(events),
            seal(keys, secret, secretOf(id)),
            keys.newest,
            iso(now),
            actor.who,
            last?.number ?? 0,
          ],
        );
        const after = { url: shown(url), events, ...(allowLinkLocal && { allowLinkLocal }) };
        await record({ ...actor, action: 'webhook.create', subject: `webhook ${id}`, after });
      });
      return { id, secret };
    },
    async list() {
      const rows = await database.query<
        WebhookRow & { readonly pending: number; readonly dead: number; readonly trouble: string | null }
      >(
        `SELECT webhooks.*,
           (SELECT count(*) FROM webhook_outbox WHERE webhook = id AND NOT dead) AS pending,
           (SELECT count(*) FROM webhook_outbox WHERE webhook = id AND dead) AS dead,
           (SELECT told FROM webhook_outbox WHERE webhook = id AND told IS NOT NULL ORDER BY number DESC LIMIT 1) AS trouble
         FROM webhooks ORDER BY made_at, id`,
      );
      return rows.map((row) => ({
        id: row.id,
        ...addressView(row, keys),
        events: JSON.parse(row.events) as string[],
        madeAt: row.made_at.toISOString(),
        by: row.made_by,
        pending: row.pending,
        dead: row.dead,
        delivered: row.delivered,
        ...(row.delivered_at !== null && { deliveredAt: row.delivered_at.toISOString() }),
        ...(row.trouble !== null && isReadable(row, keys) && { trouble: row.trouble }),
        ...(row.disabled !== null && { disabled: row.disabled }),
      }));
    },
    async find(id) {
      const [row] = await database.query<WebhookRow>('SELECT * FROM webhooks WHERE id = $1', [id]);
      if (row === undefined) throw unknown(id);
      return webhookOf(row, keys);
    },
    remove: (id, actor, now) =>
      audited(database, now, async (connection, record) => {
        const [row] = await connection.query<WebhookRow>('DELETE FROM webhooks WHERE id = $1 RETURNING *', [id]);
        if (row === undefined) throw unknown(id);
        const before = { url: addressView(row, keys).url };
        await record({ ...actor, action: 'webhook.remove', subject: `webhook ${id}`, before });
      }),
    retry: (id, actor, now) =>
      audited(database, now, async (connection, record) => {
        const found = await connection.query('UPDATE webhooks SET disabled = NULL WHERE id = $1 RETURNING id', [id]);
        if (found.length === 0) throw unknown(id);
        const rows = await connection.query(
          'UPDATE webhook_outbox SET dead = false, attempts = 0, due_at = $2 WHERE webhook = $1 RETURNING number',
          [id, iso(now)],
        );
        await record({ ...actor, action: 'webhook.retry', subject: `webhook ${id}`, after: { messages: rows.length } });
        return rows.length;
      }),
  };
}

/** Subscriptions to which something is sent. */
export async function activeWebhooks(
  connection: Connection,
  keys: SealKeys | undefined,
  onError: (error: unknown, webhook: string) => void,
): Promise<readonly Webhook[]> {
  const rows = await connection.query<WebhookRow>('SELECT * FROM webhooks WHERE disabled IS NULL ORDER BY made_at, id');
  return rows.flatMap((row) => {
    try {
      return [webhookOf(row, keys)];
    } catch (error) {
      // What is for others goes out all the same.
      onError(error, row.id);
      return [];
    }
  });
}

/** Seals with the newest key what was sealed with another one or with none: all of it or nothing. */
async function sealAnew(database: Database, keys: SealKeys | undefined, warn: (text: string) => void): Promise<void> {
  const due = 'SELECT * FROM webhooks WHERE sealed_with IS DISTINCT FROM $1 ORDER BY id';
  const rows = await database.query<WebhookRow>(due, [keys?.newest ?? null]);
  if (keys === undefined) {
    const clear = await database.query('SELECT id FROM webhooks WHERE sealed_with IS NULL');
    if (clear.length > 0) {
      warn(
        `the secrets of ${clear.length} webhooks lie in the database in the clear: give the server a key (docs/operating.md)`,
      );
    }
    return;
  }
  if (rows.length === 0) return;
  const unreadable = await audited(database, Date.now(), async (connection, record) => {
    const failed: string[] = [];
    let done = 0;
    for (const row of await connection.query<WebhookRow>(due, [keys.newest])) {
      if (!isReadable(row, keys)) {
        failed.push(row.id);
        continue;
      }
      const url = seal(keys, unseal(keys, row.url, addressOf(row.id)), addressOf(row.id));
      const secret = seal(keys, unseal(keys, row.secret, secretOf(row.id)), secretOf(row.id));
      await connection.query('UPDATE webhooks SET url = $2, secret = $3, sealed_with = $4 WHERE id = $1', [
        row.id,
        url,
        secret,
        keys.newest,
      ]);
      done++;
    }
    const about = { who: 'banksman', source: 'start', subject: 'webhooks' };
    if (done > 0) await record({ ...about, action: 'webhook.seal', after: { key: keys.newest, webhooks: done } });
    return failed;
  });
  if (unreadable.length > 0) {
    warn(`the secrets of these webhooks are sealed with keys that are not there: ${unreadable.join(', ')}`);
  }
}

/** What is sealed names where it belongs, so that nobody moves it to another row. */
function addressOf(id: string): string {
  return `address of webhook ${id}`;
}

function secretOf(id: string): string {
  return `secret of webhook ${id}`;
}

function isReadable(row: WebhookRow, keys: SealKeys | undefined): boolean {
  try {
    webhookOf(row, keys);
    return true;
  } catch {
    return false;
  }
}

/** As people may see it; where it can't be opened, they see that. */
function addressView(row: WebhookRow, keys: SealKeys | undefined): { readonly url: string; readonly trouble?: string } {
  try {
    return { url: shown(webhookOf(row, keys).url) };
  } catch (error) {
    return { url: 'unreadable:', trouble: (error as Error).message };
  }
}

function noKey(): ServerFault {
  return new ServerFault('server/no-key', 'this server has no key to seal secrets with, and keeps none in the clear', {
    next: 'start it with --secret-keys FILE: docs/operating.md',
  });
}

/** Puts entries of the audit log into the outbox. Whoever has lost the lease, or comes second, puts nothing there. */
export async function enqueue(
  database: Database,
  lease: LeaderLease,
  { id, seen, events }: Webhook,
  entries: readonly AuditEntry[],
  now: number,
): Promise<void> {
  const last = entries.at(-1);
  if (last === undefined) return;
  const wanted = entries.filter(({ event }) => isWanted(events, event.action));
  await database.transaction(async (connection) => {
    await requireLease(connection, lease);
    const moved = await connection.query('UPDATE webhooks SET seen = $3 WHERE id = $1 AND seen = $2 RETURNING id', [
      id,
      seen,
      last.number,
    ]);
    if (moved.length === 0) return;
    for (const { number } of wanted) {
      await connection.query('INSERT INTO webhook_outbox (webhook, number, due_at) VALUES ($1, $2, $3)', [
        id,
        number,
        iso(now),
      ]);
    }
  });
}

/** Messages that are to be sent now, the oldest first. */
export async function dueMessages(
  connection: Connection,
  webhook: string,
  now: number,
  limit: number,
): Promise<readonly OutboxEntry[]> {
  return await connection.query<{ number: number; attempts: number }>(
    'SELECT number, attempts FROM webhook_outbox WHERE webhook = $1 AND NOT dead AND due_at <= $2 ORDER BY number LIMIT $3',
    [webhook, iso(now), limit],
  );
}

/** A message has arrived. */
export async function markDelivered(
  database: Database,
  lease: LeaderLease,
  webhook: string,
  number: number,
  now: number,
): Promise<void> {
  await database.transaction(async (connection) => {
    await requireLease(connection, lease);
    const rows = await connection.query(
      'DELETE FROM webhook_outbox WHERE webhook = $1 AND number = $2 RETURNING number',
      [webhook, number],
    );
    if (rows.length === 0) return;
    await connection.query('UPDATE webhooks SET delivered = delivered + 1, delivered_at = $2 WHERE id = $1', [
      webhook,
      iso(now),
    ]);
  });
}

/**
 * A message has not arrived.
 *
 * @param due when it is sent again; undefined where it is given up
 */
export async function markFailed(
  database: Database,
  lease: LeaderLease,
  webhook: string,
  { number, attempts }: OutboxEntry,
  told: string,
  due: number | undefined,
  now: number,
): Promise<void> {
  const write = async (connection: Connection) => {
    await requireLease(connection, lease);
    return await connection.query(
      `UPDATE webhook_outbox SET attempts = $3, told = $4, dead = $5, due_at = $6
       WHERE webhook = $1 AND number = $2 AND attempts < $3 RETURNING number`,
      [webhook, number, attempts + 1, told.slice(0, 500), due === undefined, iso(due ?? now)],
    );
  };
  if (due !== undefined) {
    await database.transaction(write);
    return;
  }
  await audited(database, now, async (connection, record) => {
    if ((await write(connection)).length === 0) return;
    await record({
      who: 'banksman',
      source: lease.holder,
      action: 'webhook.give-up',
      subject: `webhook ${webhook}`,
      why: told,
      after: { entry: number, attempts: attempts + 1 },
    });
  });
}

/** A receiver wants no more. */
export async function disable(
  database: Database,
  lease: LeaderLease,
  webhook: string,
  why: string,
  now: number,
): Promise<void> {
  await audited(database, now, async (connection, record) => {
    await requireLease(connection, lease);
    const rows = await connection.query(
      'UPDATE webhooks SET disabled = $2 WHERE id = $1 AND disabled IS NULL RETURNING id',
      [webhook, why],
    );
    if (rows.length === 0) return;
    const about = { who: 'banksman', source: lease.holder, subject: `webhook ${webhook}` };
    await record({ ...about, action: 'webhook.disable', why });
  });
}

function isWanted(events: readonly string[], action: string): boolean {
  if (!publicActions.test(action)) return false;
  if (events.length === 0) return true;
  return events.some((event) => event === action || (event.endsWith('*') && action.startsWith(event.slice(0, -1))));
}

function webhookOf(
  { id, url, allow_link_local, events, secret, seen }: WebhookRow,
  keys: SealKeys | undefined,
): Webhook {
  const address = new URL(unseal(keys, url, addressOf(id)));
  const opened = unseal(keys, secret, secretOf(id));
  hide(opened, address.search.slice(1));
  return {
    id,
    url: address,
    allowLinkLocal: allow_link_local,
    events: JSON.parse(events) as string[],
    secret: opened,
    seen,
  };
}

function unknown(id: string): ServerFault {
  return new ServerFault('server/unknown-webhook', `there is no webhook ${id}`, {
    next: 'see `banksman webhook list`',
  });
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
