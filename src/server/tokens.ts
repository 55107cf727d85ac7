import { createHash, randomBytes } from 'node:crypto';
import { audited, migrateAudit } from '../audit/index.ts';
import { type Database, type Migration, migrate } from '../database/index.ts';
import type { Actor } from '../release/index.ts';
import { type Person, type Role, roles } from './authorization.ts';
import { ServerFault } from './fault.ts';
import type { SignIn } from './sign-in.ts';

const migrations: readonly Migration[] = [
  {
    name: 'server-1',
    statements: `
      CREATE TABLE tokens (
        id text PRIMARY KEY,
        -- SHA-256 of the secret, which is 256 bits from the system: there is nothing to guess, and so no need for a slow hash.
        hash text NOT NULL UNIQUE,
        name text NOT NULL,
        roles text NOT NULL,
        services text NOT NULL,
        made_at timestamptz(3) NOT NULL,
        expires_at timestamptz(3) NOT NULL,
        revoked_at timestamptz(3)
      );
    `,
  },
];

export interface TokenRequest extends Person {
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** A token without what it is known by. */
export interface TokenView extends Person {
  readonly id: string;
  readonly madeAt: string;
  readonly expiresAt: string;
  readonly revokedAt?: string | undefined;
}

/** Milliseconds; no token lives for longer. */
const longestLife = 366 * 86_400_000;

/** Tokens of a server: their hashes are kept, and they themselves are seen once, by who makes them. */
export interface Tokens extends SignIn {
  create(request: TokenRequest, actor: Actor, now: number): Promise<{ readonly id: string; readonly token: string }>;
  list(): Promise<readonly TokenView[]>;
  /** @throws ServerFault server/unknown-token */
  revoke(id: string, actor: Actor, now: number): Promise<void>;
}

interface TokenRow {
  readonly id: string;
  readonly name: string;
  readonly roles: string;
  readonly services: string;
  readonly made_at: Date;
  readonly expires_at: Date;
  readonly revoked_at: Date | null;
}

export async function openTokens(database: Database): Promise<Tokens> {
  await migrateAudit(database);
  await migrate(database, 'server', migrations);
  return {
    async find(token, now) {
      if (!/^bm_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/.test(token)) return undefined;
      const [row] = await database.query<TokenRow>('SELECT * FROM tokens WHERE hash = $1', [hashOf(token)]);
      if (row === undefined || row.revoked_at !== null || row.expires_at.getTime() <= now) return undefined;
      return personOf(row);
    },
    async create({ name, roles: given, services, expiresAt }, actor, now) {
      if (expiresAt <= now || expiresAt > now + longestLife) {
        throw new ServerFault('server/bad-request', 'a token lives for at least a moment and at most 366 days', {
          next: 'give another expiresAt',
        });
      }
      const id = randomBytes(6).toString('hex');
      const token = `bm_${id}_${randomBytes(32).toString('base64url')}`;
      await audited(database, now, async (connection, record) => {
        await connection.query(
          'INSERT INTO tokens (id, hash, name, roles, services, made_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)',
          [id, hashOf(token), name, JSON.stringify(given), JSON.stringify(services), iso(now), iso(expiresAt)],
        );
        const after = { name, roles: given, services, expiresAt: iso(expiresAt) };
        await record({ ...actor, action: 'token.create', subject: `token ${id}`, after });
      });
      return { id, token };
    },
    async list() {
      const rows = await database.query<TokenRow>('SELECT * FROM tokens ORDER BY made_at, id');
      return rows.map((row) => ({
        id: row.id,
        ...personOf(row),
        madeAt: row.made_at.toISOString(),
        expiresAt: row.expires_at.toISOString(),
        ...(row.revoked_at !== null && { revokedAt: row.revoked_at.toISOString() }),
      }));
    },
    async revoke(id, actor, now) {
      await audited(database, now, async (connection, record) => {
        const rows = await connection.query(
          'UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id',
          [id, iso(now)],
        );
        if (rows.length === 0) throw new ServerFault('server/unknown-token', `there is no token ${id} to revoke`);
        await record({ ...actor, action: 'token.revoke', subject: `token ${id}` });
      });
    },
  };
}

function personOf({ name, roles: given, services }: TokenRow): Person {
  const known = (JSON.parse(given) as string[]).filter((role): role is Role =>
    (roles as readonly string[]).includes(role),
  );
  return { name, roles: known, services: JSON.parse(services) as string[] };
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
