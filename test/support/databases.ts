import { execFile, execFileSync, spawn } from 'node:child_process';
import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Database, openDatabase, openPglite } from '../../src/database/index.ts';

/** An engine for tests. */
export interface TestDatabase {
  readonly engine: Database['engine'];
  /** A new connection to an empty database; its address is known for PostgreSQL. */
  start(): Promise<RunningDatabase>;
}

export interface RunningDatabase {
  readonly database: Database;
  readonly url: string | undefined;
  /** Ends PostgreSQL as a crash of it would, and gives what starts it again on the same data. Undefined for the embedded one. */
  crash?(): Promise<() => Promise<void>>;
  /** A second connection to the same database; the embedded one gives itself. */
  again(): Promise<Database>;
  stop(): Promise<void>;
}

/** Both engines: each test of a store runs on each. PostgreSQL comes from Debian's package (script/packages.txt). */
export const testDatabases: readonly TestDatabase[] = [
  { engine: 'pglite', start: startPglite },
  { engine: 'postgresql', start: startPostgres },
];

async function startPglite(): Promise<RunningDatabase> {
  const database = await openPglite(undefined);
  return { database, url: undefined, again: async () => database, stop: () => database.close() };
}

async function startPostgres(): Promise<RunningDatabase> {
  const programs = await programsFolder();
  const folder = await mkdtemp(join(tmpdir(), 'banksman-postgres-'));
  const user = ownUser();
  if (user !== undefined) {
    await chown(folder, user.uid, user.gid);
    await chmod(folder, 0o700);
  }
  const data = join(folder, 'data');
  const as = { ...user, cwd: folder, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } };
  await promisify(execFile)(join(programs, 'initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync'], as);
  const port = await freePort();
  const settings = [
    'fsync=off',
    'shared_buffers=16MB',
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
  ];
  let log = '';
  const launch = () => {
    const started = spawn(
      join(programs, 'postgres'),
      ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])],
      { ...as, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    started.stderr.on('data', (part: Buffer) => (log += part.toString()));
    return { process: started, ended: new Promise<void>((resolve) => started.on('close', () => resolve())) };
  };
  let running = launch();
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  const stop = async () => {
    running.process.kill('SIGINT');
    await running.ended;
    await rm(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; ; attempt++) {
    try {
      const database = await openDatabase(url);
      const opened: Database[] = [database];
      return {
        database,
        url,
        async crash() {
          // An immediate shutdown: nothing is finished, and the next start recovers from the log.
          running.process.kill('SIGQUIT');
          await running.ended;
          return async () => {
            running = launch();
            for (;;) {
              const probe = await openDatabase(url).catch(() => undefined);
              if (probe !== undefined) return await probe.close();
              if (running.process.exitCode !== null) throw new Error(`PostgreSQL does not start again: ${log}`);
              await sleep(100);
            }
          };
        },
        async again() {
          const other = await openDatabase(url);
          opened.push(other);
          return other;
        },
        async stop() {
          await Promise.all(opened.map((each) => each.close().catch(() => {})));
          await stop();
        },
      };
    } catch (error) {
      if (attempt >= 150 || running.process.exitCode !== null) {
        await stop();
        throw new Error(`PostgreSQL does not start: ${log}`, { cause: error });
      }
      await sleep(100);
    }
  }
}

/** PostgreSQL refuses to run as root. */
function ownUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

async function programsFolder(): Promise<string> {
  const root = '/usr/lib/postgresql';
  const [newest] = (await readdir(root)).sort((a, b) => Number(b) - Number(a));
  return join(root, newest ?? '', 'bin');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
