import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { audited, migrateAudit } from '../../src/audit/index.ts';
import { openDatabase } from '../../src/database/index.ts';

const program = fileURLToPath(new URL('../../bin/banksman', import.meta.url));

/** The whole way of an auditor, over an embedded database. */
it('banksman audit verifies a log, and names what was changed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-audit-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const address = join(folder, 'database');
  const audit = (...args: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const env = { ...process.env, BANKSMAN_DATABASE: address, NO_COLOR: '1' };
      execFile(program, ['audit', ...args], { cwd: folder, env }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  const change = async (body: (database: Awaited<ReturnType<typeof openDatabase>>) => Promise<unknown>) => {
    const database = await openDatabase(address);
    await body(database).finally(() => database.close());
  };
  expect(await audit('verify')).toMatchObject({ code: 1, stderr: expect.stringContaining('audit/no-log') as string });
  await change(async (database) => {
    await migrateAudit(database);
    for (const subject of ['a', 'b']) {
      const event = { who: 'ada', action: 'hold.begin', subject, source: 'here', why: 'looking' };
      await audited(database, 0, (_, record) => record(event));
    }
  });
  expect(await audit('key', '--private', 'k', '--public', 'p')).toMatchObject({ code: 0 });
  expect(await audit('key', '--private', 'k', '--public', 'q')).toMatchObject({ code: 2 });
  expect(await audit('checkpoint', '--private', 'k', '--out', 'c')).toMatchObject({ code: 0 });
  expect((await audit('verify', '--key', 'p', '--checkpoint', 'c')).stdout).toBe('whole: 2 entries, signed up to 2\n');
  expect((await audit('list', '--subject', 'b')).stdout).toContain('hold.begin  b  from here  "looking"');
  await change((database) =>
    database.run('ALTER TABLE audit_entries DISABLE TRIGGER ALL; DELETE FROM audit_entries WHERE number = 2'),
  );
  expect((await audit('verify')).stdout).toContain('whole: 1 entries');
  const broken = await audit('verify', '--key', 'p', '--checkpoint', 'c');
  expect(broken).toMatchObject({ code: 1, stdout: '' });
  expect(broken.stderr).toContain('the log was cut');
}, 120_000);
