/**
 * The figures of the spine, each the median of N runs: `node bench/spine.ts [N]`.
 *
 * A cluster of its own is made and purged for every run of `up`; the bank is a copy, so that it can be edited.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyBank, eventually, type Outcome } from '../test/e2e/workspace.ts';

const runs = Math.max(1, Number(process.argv[2] ?? 3));
const figures = new Map<string, number[]>();
const record = (name: string, value: number) => figures.set(name, [...(figures.get(name) ?? []), value]);
async function timed<T>(name: string, body: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await body();
  const seconds = (performance.now() - began) / 1000;
  record(name, seconds);
  process.stderr.write(`  ${name}: ${seconds.toFixed(2)} s\n`);
  return result;
}

console.log(
  `load average ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')}, ${runs} runs, ${new Date().toISOString()}`,
);
const statements = 'bank/statements/statement.py';

for (let run = 0; run < runs; run++) {
  process.stderr.write(`run ${run + 1} of ${runs}\n`);
  const state = await mkdtemp(join(tmpdir(), 'bm-'));
  const bank = await copyBank({ BANKSMAN_STATE: state, BANKSMAN_CLUSTER: 'bench' });
  try {
    await bank.mustRun(['image', 'ls']);
    const began = performance.now();
    await timed('up, from nothing to a Ready node with DNS answering', () => bank.mustRun(['up']));
    await timed('deploy of the whole bank, images cached', () => bank.mustRun(['deploy', '--env', 'dev']));
    record('from nothing to the whole bank healthy (up + deploy)', (performance.now() - began) / 1000);
    await timed('deploy with nothing changed', () => bank.mustRun(['deploy', '--env', 'dev']));
    const title = readTitle(await readFile(join(bank.root, statements), 'utf8'));
    await bank.edit(statements, title, `${title} ${run}`);
    await timed('one changed line in statements, until the old pod is gone', async () => {
      await bank.mustRun(['deploy', '--env', 'dev']);
      await onlyOnePod(() => bank.mustRun(['status', '--json']));
    });
    await timed('rollback of statements, until the old version serves', () =>
      bank.mustRun(['rollback', '//bank/statements', '--env', 'dev']),
    );
    await timed('status', () => bank.mustRun(['status', '--json']));
    await timed('query targets //...', () => bank.mustRun(['query', 'targets', '//...']));
    await bank.mustRun(['down']);
    await timed('up again, state kept', () => bank.mustRun(['up']));
    await bank.mustRun(['down', '--purge']);
    await bank.mustRun(['up']);
    // At rest: the caches of a start have settled.
    await new Promise((resolve) => setTimeout(resolve, 30_000));
    const processes = residentProcesses('banksman-bench');
    record('resident memory of control plane, node and DNS at rest, MiB', sum(processes.map(({ rss }) => rss)));
    record('the same, pages that processes share counted once, MiB', sum(processes.map(({ pss }) => pss)));
    for (const { name, rss, pss } of processes)
      process.stderr.write(`    ${name}: ${rss.toFixed(0)} MiB, ${pss.toFixed(0)} MiB\n`);
  } finally {
    await bank.banksman(['down', '--purge']);
    await bank.remove();
    await rm(state, { recursive: true, force: true });
  }
}

for (const [name, values] of figures) {
  const sorted = [...values].sort((a, b) => a - b);
  console.log(
    `${name.padEnd(66)} ${median(sorted).toFixed(2).padStart(8)}   (${sorted.map((value) => value.toFixed(2)).join(', ')})`,
  );
}
console.log(`load average at the end ${readFileSync('/proc/loadavg', 'utf8').trim()}`);

function median(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

interface Resident {
  readonly name: string;
  /** MiB; see proc_pid_smaps_rollup(5). */
  readonly rss: number;
  readonly pss: number;
}

/** Every process in a cluster's cgroups: what `up` started, and the containers of the system's pods. */
function residentProcesses(cgroup: string): Resident[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(cgroup)) return [];
        const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
        const size = (field: string) =>
          Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0) / 1024;
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const name = words
          .slice(0, 2)
          .map((word) => word.split('/').at(-1))
          .join(' ');
        return [{ name, rss: size('Rss'), pss: size('Pss') }];
      } catch {
        // It has just ended.
        return [];
      }
    });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function readTitle(source: string): string {
  const match = /^TITLE = "([^"]+)/m.exec(source);
  if (match === null) throw new Error(`${statements} has no TITLE`);
  return match[1]!;
}

async function onlyOnePod(status: () => Promise<Outcome>): Promise<void> {
  await eventually('one pod of statements', async () => {
    const { services } = JSON.parse((await status()).stdout) as { services: { service: string; pods: unknown[] }[] };
    return services.find(({ service }) => service === '//bank/statements:statements')?.pods.length === 1;
  });
}
