import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../test/support/databases.ts';
import type { Database } from '../database/index.ts';
import { isSignedBy, newCheckpointKey, parseCheckpoint, readPrivateKey, readPublicKey } from './checkpoint.ts';
import { type AuditEvent, beginning, bodyOf, hashOf } from './entry.ts';
import { audited, makeCheckpoint, migrateAudit, readEntries } from './log.ts';
import { grantsFor } from './migrations.ts';
import { verifyLog } from './verify.ts';

const event = (name: string): AuditEvent => ({
  who: 'ada@bank.example',
  action: 'rollout.start',
  subject: name,
  source: '127.0.0.1',
  after: { b: 1, a: ['é', null] },
});
const now = Date.parse('2026-01-02T03:04:05.678Z');
const pem = newCheckpointKey();
const signer = readPrivateKey(pem.privateKey);
const key = readPublicKey(pem.publicKey);

describe.each(testDatabases)('the audit log on $engine', ({ start }) => {
  let running: RunningDatabase;
  let database: Database;
  beforeAll(async () => {
    running = await start();
    database = running.database;
    expect(await migrateAudit(database)).toEqual(['audit-1']);
  }, 60_000);
  afterAll(() => running?.stop());
  beforeEach(async () => {
    await asIntruder('TRUNCATE audit_entries, audit_checkpoints');
  });

  const write = (...names: string[]) =>
    names.reduce(
      (before, name) => before.then(() => audited(database, now, (_, record) => record(event(name))).then(() => {})),
      Promise.resolve(),
    );
  /** One who owns the database, and takes the triggers away first. */
  const asIntruder = (statements: string) =>
    database.run(`
      ALTER TABLE audit_entries DISABLE TRIGGER ALL; ALTER TABLE audit_checkpoints DISABLE TRIGGER ALL;
      ${statements};
      ALTER TABLE audit_entries ENABLE TRIGGER ALL; ALTER TABLE audit_checkpoints ENABLE TRIGGER ALL;`);
  const found = async (...elsewhere: Parameters<typeof verifyLog>[2] & object) =>
    (await verifyLog(database, [key], elsewhere)).findings.map(({ number, what }) => `${number}: ${what}`);

  it('chains what is written, and is found whole', async () => {
    await write('a', 'b', 'c');
    const entries = await readEntries(database);
    expect(entries.map(({ number, previous }) => [number, previous])).toEqual([
      [1, beginning],
      [2, entries[0]?.hash],
      [3, entries[1]?.hash],
    ]);
    expect(entries[1]).toMatchObject({ at: '2026-01-02T03:04:05.678Z', event: event('b') });
    expect(await verifyLog(database)).toEqual({ entries: 3, hash: entries[2]?.hash, signedUpTo: 0, findings: [] });
    expect(await readEntries(database, { subject: 'b' })).toHaveLength(1);
    expect(await readEntries(database, { after: 1, limit: 1 })).toMatchObject([{ number: 2 }]);
  });

  it('holds what was done and that it was done together, or neither', async () => {
    await database.run('CREATE TABLE IF NOT EXISTS done (a int); DELETE FROM done');
    const work = audited(database, now, async (connection, record) => {
      await connection.query('INSERT INTO done VALUES (1)');
      await record(event('x'));
      throw new Error('killed');
    });
    await expect(work).rejects.toThrow('killed');
    expect(await database.query('SELECT * FROM done')).toEqual([]);
    expect(await readEntries(database)).toEqual([]);
  });

  it('has one order when many write at the same time', async () => {
    const other = await running.again();
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        audited(index % 2 === 0 ? database : other, now, (_each, record) => record(event(`${index}`))),
      ),
    );
    expect(await verifyLog(database)).toMatchObject({ entries: 20, findings: [] });
  });

  it.each<[string, string, RegExp[]]>([
    [
      'an edit',
      `UPDATE audit_entries SET body = replace(body, 'ada', 'bob') WHERE number = 2`,
      [/^2: its text is not what was hashed/, /^2: its columns/],
    ],
    ['an edit of a column', `UPDATE audit_entries SET who = 'bob' WHERE number = 2`, [/^2: its columns/]],
    ['an edit of the time', `UPDATE audit_entries SET at = at + interval '1 ms' WHERE number = 2`, [/^2: its columns/]],
    ['a deletion', 'DELETE FROM audit_entries WHERE number = 2', [/^3: entries 2 are missing/, /^3: the hash before/]],
    [
      'a deletion of the first',
      'DELETE FROM audit_entries WHERE number = 1',
      [/^2: entries 1 are missing/, /^2: the hash before/],
    ],
    [
      'a deletion with the numbers closed up',
      'DELETE FROM audit_entries WHERE number = 2; UPDATE audit_entries SET number = number - 1 WHERE number > 2',
      [/^2: the hash before/, /^2: its columns/, /^3: its columns/],
    ],
    [
      'a swap',
      'UPDATE audit_entries SET number = number + 100 WHERE number IN (2, 3); UPDATE audit_entries SET number = 105 - number WHERE number > 100',
      [/^2: the hash before/, /^2: its columns/, /^3: the hash before/, /^3: its columns/, /^4: the hash before/],
    ],
    [
      'an insertion',
      `INSERT INTO audit_entries SELECT 5, at, who, action, subject, body, 'x', 'y' FROM audit_entries WHERE number = 4`,
      [/^5: the hash before/, /^5: its text/, /^5: its columns/],
    ],
    [
      'nonsense',
      `UPDATE audit_entries SET body = 'x' WHERE number = 4`,
      [/^4: its text is not what/, /^4: its text is not in/],
    ],
  ])('finds %s', async (_, statements, expected) => {
    await write('a', 'b', 'c', 'd');
    await asIntruder(statements);
    const findings = await found();
    expect(findings).toHaveLength(expected.length);
    for (const [index, pattern] of expected.entries()) expect(findings[index]).toMatch(pattern);
  });

  it('finds an edit after which all hashes were made to fit, by a checkpoint', async () => {
    await write('a', 'b', 'c');
    const checkpoint = await makeCheckpoint(database, signer, now);
    expect(checkpoint).toMatchObject({ number: 3 });
    expect(await makeCheckpoint(database, signer, now)).toBeUndefined();
    await write('d');
    expect(await verifyLog(database, [key])).toMatchObject({ entries: 4, signedUpTo: 3, findings: [] });
    const at = new Date(now).toISOString();
    const statements = ['forged', 'c', 'd'].map((name, index) => {
      const body = bodyOf(index + 2, at, event(name)).replaceAll("'", "''");
      return `UPDATE audit_entries SET subject = '${name}', body = '${body}' WHERE number = ${index + 2}`;
    });
    await asIntruder(statements.join('; '));
    let previous = (await readEntries(database))[0]!.hash;
    for (const { number, at: time, event: each } of (await readEntries(database)).slice(1)) {
      const hash = hashOf(previous, bodyOf(number, time, each));
      await asIntruder(`UPDATE audit_entries SET previous = '${previous}', hash = '${hash}' WHERE number = ${number}`);
      previous = hash;
    }
    expect((await verifyLog(database)).findings).toEqual([]);
    expect(await found()).toEqual([expect.stringMatching(/^3: the checkpoint of .* has another hash/)]);
    expect(await verifyLog(database, [key])).toMatchObject({ signedUpTo: 0 });
  });

  it('finds what was cut off the end, by a checkpoint that was kept elsewhere', async () => {
    await write('a', 'b', 'c');
    const checkpoint = (await makeCheckpoint(database, signer, now))!;
    await asIntruder('DELETE FROM audit_entries WHERE number > 1; DELETE FROM audit_checkpoints');
    expect(await found()).toEqual([]);
    expect(await found(checkpoint)).toEqual([expect.stringMatching(/^3: the checkpoint of .* the log was cut/)]);
  });

  it('takes no checkpoint for that of another entry, and none that is not in its form', async () => {
    await write('a', 'b');
    await makeCheckpoint(database, signer, now);
    await asIntruder('UPDATE audit_checkpoints SET number = 1');
    await expect(verifyLog(database, [key])).rejects.toMatchObject({ code: 'audit/bad-checkpoint' });
    await asIntruder("UPDATE audit_checkpoints SET number = 2, checkpoint = 'x'");
    await expect(verifyLog(database, [key])).rejects.toMatchObject({ code: 'audit/bad-checkpoint' });
  });

  it('does not believe a checkpoint that another key signed, or that was changed', async () => {
    await write('a');
    const other = newCheckpointKey();
    const foreign = (await makeCheckpoint(database, readPrivateKey(other.privateKey), now))!;
    expect(await found()).toEqual([expect.stringMatching(/^1: a checkpoint is not signed/)]);
    expect(isSignedBy(foreign, readPublicKey(other.publicKey))).toBe(true);
    expect(isSignedBy({ ...foreign, number: 2 }, readPublicKey(other.publicKey))).toBe(false);
    expect(await verifyLog(database, [key])).toMatchObject({ signedUpTo: 0 });
  });

  it('takes no edit, deletion or emptying from anybody', async () => {
    await write('a');
    for (const statement of [
      "UPDATE audit_entries SET who = 'x'",
      'DELETE FROM audit_entries',
      'TRUNCATE audit_entries',
      'DELETE FROM audit_checkpoints',
    ]) {
      await expect(database.run(statement)).rejects.toMatchObject({ state: '42501' });
    }
  });

  it('can be written by a role that has no right to change it', async () => {
    await database.run('DROP ROLE IF EXISTS appender; CREATE ROLE appender').catch(async () => {
      await database.run('DROP OWNED BY appender; DROP ROLE appender; CREATE ROLE appender');
    });
    await database.run(grantsFor('appender'));
    await audited(database, now, async (connection, record) => {
      await connection.run('SET LOCAL ROLE appender');
      await record(event('a'));
    });
    const locks = database.transaction(async (connection) => {
      await connection.run('SET LOCAL ROLE appender; LOCK TABLE audit_lock IN EXCLUSIVE MODE');
    });
    await expect(locks).resolves.toBeUndefined();
    const privileges = await database.query(
      `SELECT has_table_privilege('appender', 'audit_entries', privilege) AS has, privilege
       FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege`,
    );
    expect(Object.fromEntries(privileges.map((row) => [row.privilege, row.has]))).toEqual({
      SELECT: true,
      INSERT: true,
      UPDATE: false,
      DELETE: false,
      TRUNCATE: false,
    });
    expect(await verifyLog(database)).toMatchObject({ entries: 1, findings: [] });
    expect(() => grantsFor('x; DROP TABLE audit_entries')).toThrow('no plain name');
  });
});

describe('keys and checkpoints', () => {
  it('that are none are refused, and a key is never told', () => {
    expect(() => readPrivateKey('-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----')).toThrow(
      /this is no private key/,
    );
    expect(() => readPublicKey('x')).toThrow(/this is no public key/);
    for (const text of ['x', '{}', '{"format":2}', '{"format":1,"number":-1}', '{"format":1,"number":1}']) {
      expect(() => parseCheckpoint(text, 'c.json')).toThrow(/c.json is no checkpoint/);
    }
  });

  it('an entry that is too large is refused', () => {
    expect(() => bodyOf(1, '', { ...event('x'), after: 'x'.repeat(70_000) })).toThrow(/too large/);
  });
});
