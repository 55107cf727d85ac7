import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { audited, readEntries } from '../../src/audit/index.ts';
import { openDatabase } from '../../src/database/index.ts';
import { openPlacementStore } from '../../src/release/index.ts';
import { testDatabases } from '../support/databases.ts';

const program = fileURLToPath(new URL('../../bin/banksman', import.meta.url));
const actor = { who: 'ada', source: 'here' };
const service = '//bank/ledger:ledger';

/** docs/operating.md: what is said there of backup and restore. */
it('a dump of PostgreSQL, restored elsewhere, is the same record, and goes on', async () => {
  const folder = await newFolder();
  const postgres = testDatabases.find(({ engine }) => engine === 'postgresql');
  const running = await postgres!.start();
  onTestFinished(() => running.stop());
  await fill(running.url as string);
  const dump = join(folder, 'banksman.dump');
  await run('pg_dump', ['--format=custom', `--file=${dump}`, running.url as string]);
  // What comes after the backup is lost with the machine.
  await running.database.run('CREATE DATABASE restored');
  const restored = (running.url as string).replace(/\/[^/]*$/, '/restored');
  await run('pg_restore', ['--single-transaction', '--exit-on-error', `--dbname=${restored}`, dump]);
  await goesOn(restored);
  const database = await openDatabase(restored);
  onTestFinished(() => database.close());
  // The triggers came back too.
  await expect(database.run('DELETE FROM audit_entries')).rejects.toMatchObject({ code: 'database/refused' });
}, 120_000);

it('a copy of the embedded database’s folder is the same record, and goes on', async () => {
  const folder = await newFolder();
  const here = join(folder, 'database');
  await fill(here);
  const copy = join(folder, 'copy');
  await cp(here, copy, { recursive: true });
  await goesOn(copy);
}, 120_000);

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-backup-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function fill(address: string): Promise<void> {
  const database = await openDatabase(address);
  try {
    const store = await openPlacementStore(database);
    const release = { service, reference: 'r@sha256:0', commit: 'c', authors: ['ada'], madeAt: 0 } as const;
    await store.addRelease({ id: 'one', ...release }, actor);
    await store.happen(
      service,
      'prod',
      { kind: 'hold', at: 1, hold: { id: 'h', by: 'ada', why: 'looking' } },
      { ...actor, why: 'looking' },
    );
  } finally {
    await database.close();
  }
}

/** The log is whole, holds what it held, and takes what comes next. */
async function goesOn(address: string): Promise<void> {
  const verify = async () => (await run(program, ['audit', 'verify', '--database', address])).trim();
  expect(await verify()).toContain('whole: 2 entries');
  const database = await openDatabase(address);
  try {
    const store = await openPlacementStore(database);
    expect((await store.read(service, 'prod')).holds).toMatchObject([{ id: 'h', why: 'looking' }]);
    expect(await store.releases(service)).toMatchObject([{ id: 'one', order: 1 }]);
    await audited(database, 2, (_, record) => record({ ...actor, action: 'hold.end', subject: 'after' }));
    expect((await readEntries(database)).map(({ number }) => number)).toEqual([1, 2, 3]);
  } finally {
    await database.close();
  }
  expect(await verify()).toContain('whole: 3 entries');
}

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { env: { ...process.env, NO_COLOR: '1' } }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command}: ${stderr}`));
    });
  });
}
