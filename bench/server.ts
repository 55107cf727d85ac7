/**
 * The figures of the server: `node bench/server.ts [SERVICES] [HISTORY]`, with 5,000 services in 4 environments and 5 rollouts of each
 * unless told, on the embedded database and on PostgreSQL. The server is `banksman server`, a process of its own; its memory is that of
 * the process (VmRSS now, VmHWM at most). The bounds: a page of a list in 300 ms and 1 MB, the server in 400 MB.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Database, openDatabase } from '../src/database/index.ts';
import type { Label } from '../src/graph/index.ts';
import { model, openPlacementStore } from '../src/release/index.ts';
import { writePlacements } from '../src/release/placement/rows.ts';
import { openTokens } from '../src/server/index.ts';
import { testDatabases } from '../test/support/databases.ts';

const services = Math.max(1, Number(process.argv[2] ?? 5000));
const history = Math.max(1, Number(process.argv[3] ?? 5));
const environments = ['dev', 'test', 'staging', 'prod'];
const banksman = fileURLToPath(new URL('../bin/banksman', import.meta.url));
const base = mkdtempSync(join(tmpdir(), 'banksman-bench-'));
const start = Date.now() - (history + 1) * 3_600_000;
const actor = { who: 'bench', source: 'bench' };
const terms = { patience: 1e9, deadline: 1e6, onFailure: 'stop', returnGates: [] } as const;
const gates = ['soak', 'tests', 'approvals'];
const iso = (time: number) => new Date(time).toISOString();

const idOf = (service: number, order: number) =>
  `sha256:${service.toString(16).padStart(8, '0')}${order.toString(16).padStart(56, 'a')}`;
const labelOf = (service: number) => `//domain${service % 50}/service${service}:service${service}` as Label;

/** All that was ever asked for of a service in an environment; every 100th waits for a gate, every 25th is held. */
function placementOf(service: number, environment: string): model.Placement {
  let placement: model.Placement = { service: labelOf(service), environment, rollouts: [], holds: [] };
  const happen = (happening: model.Happening) => {
    placement = model.advance(placement, happening).placement;
  };
  for (let order = 1; order <= history; order++) {
    const at = start + order * 3_600_000;
    const rollout = `${environment}-${service}-${order}`;
    const release = { id: idOf(service, order), order };
    const request = { id: rollout, release, kind: 'promotion', by: 'ada@bank.example', gates, terms } as const;
    happen({ kind: 'plan', at, request });
    const waits = order === history && service % 100 === 0;
    const answers = gates.map((gate) => ({ gate, holds: !waits, reason: 'as the bench says', since: at }));
    happen({ kind: 'gates', at: at + 1000, rollout, answers });
    happen({ kind: 'applied', at: at + 2000, rollout });
    happen({ kind: 'ready', at: at + 9000, rollout, verifies: false });
  }
  if (service % 25 === 0)
    happen({ kind: 'hold', at: start, hold: { id: 'h', by: 'ada@bank.example', why: 'looking' } });
  return placement;
}

async function fill(database: Database): Promise<string> {
  await openPlacementStore(database);
  const batch = 250;
  for (let first = 0; first < services; first += batch) {
    const numbers = Array.from({ length: Math.min(batch, services - first) }, (_, index) => first + index);
    await database.transaction(async (connection) => {
      for (const number of numbers) {
        for (let order = 1; order <= history; order++) {
          const time = iso(start + order * 3_600_000);
          await connection.query(
            `INSERT INTO releases (id, service, position, reference, commit_id, authors, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
            [idOf(number, order), labelOf(number), order, `r@${idOf(number, order)}`, 'c'.repeat(40), '["Ada"]', time],
          );
        }
        await connection.query(
          `INSERT INTO services (service, kind, owner, needs, newest) VALUES ($1, 'service', 'team', '[]', $2)`,
          [labelOf(number), idOf(number, history)],
        );
        for (const environment of environments) {
          const after = placementOf(number, environment);
          await writePlacements(connection, [{ before: { ...after, rollouts: [], holds: [] }, after }]);
        }
      }
    });
  }
  await database.run('ANALYZE');
  const asked = { name: 'bench', roles: ['viewer'] as const, services: [], expiresAt: Date.now() + 86_400_000 };
  return (await (await openTokens(database)).create(asked, actor, Date.now())).token;
}

function workspace(): string {
  const root = join(base, 'workspace');
  mkdirSync(root, { recursive: true });
  const list = environments.map((name, index) => {
    const after = index === 0 ? '' : `, after: ${environments[index - 1]}`;
    return `  ${name}: { cluster: nowhere, namespace: ${name}${after} }`;
  });
  writeFileSync(join(root, 'banksman.yaml'), `name: bench\nenvironments:\n${list.join('\n')}\n`);
  execFileSync('git', ['init', '-q'], { cwd: root });
  return root;
}

function memoryOf(pid: number | undefined): string {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  if (mebibytes('VmHWM') > 400) process.exitCode = 1;
  return `${mebibytes('VmRSS').toFixed(0)} MiB, ${mebibytes('VmHWM').toFixed(0)} MiB at most`;
}

async function measure(engine: string, address: string, token: string): Promise<void> {
  const args = ['server', '--port', '0', '--database', address];
  const child = spawn(banksman, args, { cwd: workspace(), stdio: ['ignore', 'ignore', 'pipe'] });
  const readers = new AbortController();
  try {
    let log = '';
    child.stderr.on('data', (part: Buffer) => (log += part.toString()));
    const headers = { authorization: `Bearer ${token}` };
    let url: string | undefined;
    for (let look = 0; url === undefined; look++) {
      if (look > 600 || child.exitCode !== null) throw new Error(`the server does not start: ${log}`);
      await sleep(100);
      url = /http:\/\/127[.0-9]+:\d+/.exec(log)?.[0];
    }
    console.log(`${engine}, started`.padEnd(58), memoryOf(child.pid));
    // Somebody watches.
    for (let reader = 0; reader < 20; reader++) {
      const { body } = await fetch(`${url}/v1/events`, { headers, signal: readers.signal });
      void body?.pipeTo(new WritableStream()).catch(() => {});
    }
    const calls = [
      ['/v1/services', 100],
      ['/v1/services', 500],
      ['/v1/environments/prod/services', 100],
      ['/v1/environments/prod/services', 500],
      ['/v1/environments/prod/services?open=true', 500],
      ['/v1/environments/prod/services?held=true', 500],
      ['/v1/environments/prod/services?state=failed', 500],
      ['/v1/environments/prod/services?match=//domain7/...', 500],
    ] as const;
    for (const [path, limit] of calls) {
      const times: number[] = [];
      let largest = 0;
      let bytes = 0;
      let items = 0;
      for (let next: string | undefined = ''; next !== undefined; ) {
        const after = next === '' ? '' : `&after=${encodeURIComponent(next)}`;
        const began = performance.now();
        const answer = await fetch(`${url}${path}${path.includes('?') ? '&' : '?'}limit=${limit}${after}`, { headers });
        const text = await answer.text();
        times.push(performance.now() - began);
        if (!answer.ok) throw new Error(text);
        const page = JSON.parse(text) as { items: unknown[]; next?: string };
        largest = Math.max(largest, text.length);
        bytes += text.length;
        items += page.items.length;
        next = page.next;
      }
      times.sort((a, b) => a - b);
      const [median, worst] = [times[times.length >> 1] ?? 0, times.at(-1) ?? 0];
      if (median > 300 || largest > 1_000_000) process.exitCode = 1;
      console.log(
        `${engine}, ${path}, ${limit} a page`.padEnd(58),
        `${median.toFixed(0)} ms (${worst.toFixed(0)} at most), ${(largest / 1024).toFixed(0)} KiB a page; ${items} in ${times.length} pages, ${(bytes / 1024).toFixed(0)} KiB`,
      );
    }
    console.log(`${engine}, with 20 who watch, after these calls`.padEnd(58), memoryOf(child.pid));
  } finally {
    readers.abort();
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
}

console.log(
  `load ${loadavg()[0]?.toFixed(1)}; ${services} services in ${environments.length} environments, ${history} rollouts of each`,
);
try {
  const folder = join(base, 'database');
  const embedded = await openDatabase(folder);
  const token = await fill(embedded);
  await embedded.close();
  await measure('pglite', folder, token);
  const running = await testDatabases.find(({ engine }) => engine === 'postgresql')!.start();
  try {
    await measure('postgresql', running.url as string, await fill(running.database));
  } finally {
    await running.stop();
  }
} finally {
  rmSync(base, { recursive: true, force: true });
}
