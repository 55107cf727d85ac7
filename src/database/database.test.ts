import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../test/support/databases.ts';
import { migrate } from './migrate.ts';
import { openDatabase } from './open.ts';
import type { Database } from './types.ts';

describe.each(testDatabases)('$engine', ({ start }) => {
  let running: RunningDatabase;
  let database: Database;
  beforeAll(async () => {
    running = await start();
    database = running.database;
    await database.run('CREATE TABLE counts (name text PRIMARY KEY, count bigint NOT NULL)');
  }, 60_000);
  afterAll(() => running?.stop());

  it('gives values as they came', async () => {
    const [row] = await database.query(
      `SELECT $1::text AS text, $2::bigint AS number, $3::timestamptz AS time, $4::json AS json, $5::text[] AS list, $6::boolean AS truth, $7::text AS nothing`,
      ["'; DROP TABLE counts; --", 2 ** 40, '2026-01-02T03:04:05.678Z', '{"a":[1]}', ['x', 'y,"z'], true, null],
    );
    expect(row).toEqual({
      text: "'; DROP TABLE counts; --",
      number: 2 ** 40,
      time: new Date('2026-01-02T03:04:05.678Z'),
      json: { a: [1] },
      list: ['x', 'y,"z'],
      truth: true,
      nothing: null,
    });
  });

  it('takes back a transaction that throws, with what it threw', async () => {
    const mine = new Error('mine');
    const work = database.transaction(async (connection) => {
      await connection.query('INSERT INTO counts VALUES ($1, $2)', ['lost', 1]);
      throw mine;
    });
    await expect(work).rejects.toBe(mine);
    expect(await database.query("SELECT * FROM counts WHERE name = 'lost'")).toEqual([]);
  });

  it('loses no update of transactions that run at the same time', async () => {
    await database.query('INSERT INTO counts VALUES ($1, $2)', ['shared', 0]);
    const other = await running.again();
    const add = (each: Database) =>
      each.transaction(async (connection) => {
        const [row] = await connection.query<{ count: number }>("SELECT count FROM counts WHERE name = 'shared'");
        await connection.query("UPDATE counts SET count = $1 WHERE name = 'shared'", [(row?.count ?? 0) + 1]);
      });
    await Promise.all(Array.from({ length: 8 }, (_, index) => add(index % 2 === 0 ? database : other)));
    expect(await database.query("SELECT count FROM counts WHERE name = 'shared'")).toEqual([{ count: 8 }]);
  });

  it('tells a refusal with its state', async () => {
    await database.query('INSERT INTO counts VALUES ($1, $2)', ['twice', 1]);
    await expect(database.query('INSERT INTO counts VALUES ($1, $2)', ['twice', 1])).rejects.toMatchObject({
      code: 'database/refused',
      state: '23505',
    });
    await expect(database.query('SELEKT 1')).rejects.toMatchObject({ code: 'database/refused', state: '42601' });
    const inside = database.transaction((connection) => connection.query('SELECT * FROM nothing_here'));
    await expect(inside).rejects.toMatchObject({ code: 'database/refused', state: '42P01' });
    // And goes on afterwards.
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  describe('a migration', () => {
    const first = { name: 'part-1', statements: 'CREATE TABLE part (a int); INSERT INTO part VALUES (1);' };
    const second = { name: 'part-2', statements: 'ALTER TABLE part ADD COLUMN b int' };

    it('goes forward once, also when two programs start at the same time', async () => {
      const other = await running.again();
      const taken = await Promise.all([migrate(database, 'part', [first]), migrate(other, 'part', [first])]);
      expect(taken.flat()).toEqual(['part-1']);
      expect(await database.query('SELECT a FROM part')).toEqual([{ a: 1 }]);
      expect(await migrate(database, 'part', [first, second])).toEqual(['part-2']);
      expect(await migrate(database, 'part', [first, second])).toEqual([]);
    });

    it('finds the table of migrations made by another at any moment', async () => {
      const others = [database, await running.again(), await running.again(), await running.again()];
      for (let round = 0; round < 12; round++) {
        await database.run('DROP TABLE migrations; DROP TABLE part');
        const taken = await Promise.all(others.map((each) => migrate(each, 'part', [first])));
        expect(taken.flat()).toEqual(['part-1']);
      }
      await migrate(database, 'part', [first, second]);
    });

    it('that was changed afterwards, and a database of a newer program, are refused', async () => {
      const edited = { ...first, statements: `${first.statements} -- edited` };
      await expect(migrate(database, 'part', [edited, second])).rejects.toMatchObject({
        code: 'database/bad-migration',
      });
      await expect(migrate(database, 'part', [first])).rejects.toMatchObject({ code: 'database/newer' });
    });

    it('that fails leaves nothing behind', async () => {
      const broken = { name: 'other-1', statements: 'CREATE TABLE half (a int); SELECT 1 / 0;' };
      await expect(migrate(database, 'other', [broken])).rejects.toMatchObject({ state: '22012' });
      await expect(database.query('SELECT * FROM half')).rejects.toMatchObject({ state: '42P01' });
    });
  });
});

describe('openDatabase', () => {
  it('refuses addresses that are none', async () => {
    for (const address of ['', 'mysql://x/y']) {
      await expect(openDatabase(address)).rejects.toMatchObject({ code: 'database/bad-address' });
    }
  });

  it('says what it could not reach, and nothing of a password', async () => {
    const error = await openDatabase('postgresql://ada:secret@127.0.0.1:1/bank').catch((each: unknown) => each);
    expect(error).toMatchObject({
      code: 'database/lost',
      message: expect.stringContaining('bank at 127.0.0.1') as string,
    });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error)) + String(error)).not.toContain('secret');
  });

  it('lets one process at a folder, keeps what was committed when that is killed, and lets the next one in', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'banksman-database-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const program = `
      import { openDatabase } from ${JSON.stringify(new URL('open.ts', import.meta.url).href)};
      const database = await openDatabase(${JSON.stringify(folder)});
      await database.run('CREATE TABLE kept (a int)');
      await database.transaction((connection) => connection.query('INSERT INTO kept VALUES (7)'));
      console.log('ready');
      setInterval(() => {}, 1000);
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await expect(openDatabase(folder)).rejects.toMatchObject({ code: 'database/in-use' });
    child.kill('SIGKILL');
    await once(child, 'close');
    const database = await openDatabase(folder);
    expect(await database.query('SELECT a FROM kept')).toEqual([{ a: 7 }]);
    await database.close();
  }, 90_000);
});
