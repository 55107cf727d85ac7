/**
 * The figures of the graph: `node bench/graph.ts [RUNS] [TARGETS] [BUILT]`, medians of 3 runs on a made monorepo of 100,000 targets
 * unless told. Each figure is that of a process of its own, with its start; memory is the peak of that process.
 *
 * A build with nothing to do needs a build before it, which takes some minutes for each 10,000 targets: it is measured in the
 * monorepo of a tenth of the size, and in the large one where BUILT is `all`.
 */
import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commitAll, makeMonorepo } from './monorepo.ts';

const runs = Math.max(1, Number(process.argv[2] ?? 3));
const largest = Math.max(1000, Number(process.argv[3] ?? 100_000));
const buildsAll = process.argv[4] === 'all';
const seed = 1;
const program = fileURLToPath(new URL('../bin/banksman', import.meta.url));
const base = mkdtempSync(join(tmpdir(), 'banksman-bench-'));
/** Node's compiled code is kept apart, so that emptying the cache of graphs leaves it. */
const compiled = join(base, 'compiled');

interface Measured {
  readonly seconds: number;
  /** MiB. */
  readonly memory: number;
  readonly lines: number;
}

/** One command in a process of its own, started through /bin/sh as a person's is. */
async function measure(folder: string, args: readonly string[]): Promise<Measured> {
  const began = performance.now();
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, BANKSMAN_CACHE: join(base, 'cache'), NODE_COMPILE_CACHE: compiled, CI: 'true' },
  });
  let lines = 0;
  let told = '';
  child.stdout.on('data', (data: Buffer) => {
    for (const byte of data) if (byte === 10) lines++;
  });
  child.stderr.on('data', (data: Buffer) => {
    told += data.toString();
  });
  // The shell script replaces itself by Node: its process is the one to look at. The peak only grows.
  let memory = 0;
  const look = setInterval(() => {
    try {
      const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
      if (peak !== null) memory = Number(peak[1]) / 1024;
    } catch {
      // It has ended.
    }
  }, 10);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`banksman ${args.join(' ')} ended with ${code}\n${told}`);
  const seconds = (performance.now() - began) / 1000;
  clearInterval(look);
  return { seconds, memory, lines };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

async function figure(
  name: string,
  folder: string,
  args: readonly string[],
  prepare: () => void | Promise<void> = () => {},
): Promise<number> {
  const found: Measured[] = [];
  for (let run = 0; run < runs; run++) {
    await prepare();
    found.push(await measure(folder, args));
  }
  const seconds = median(found.map((each) => each.seconds));
  const memory = Math.max(...found.map((each) => each.memory));
  console.log(
    `${name.padEnd(58)} ${seconds.toFixed(2).padStart(7)} s ${memory.toFixed(0).padStart(6)} MiB  ${found[0]!.lines} lines`,
  );
  return seconds;
}

const forget = () => rmSync(join(base, 'cache'), { recursive: true, force: true });

async function sized(targets: number, builds: boolean): Promise<{ cold: number; warm: number }> {
  const folder = join(base, `repository-${targets}`);
  mkdirSync(folder);
  const made = makeMonorepo(folder, targets, seed);
  const first = commitAll(folder, 'first');
  console.log(`\n${made.targets} targets, ${made.packages} packages, ${made.files} files`);
  const cold = await figure(
    'load and hash the whole graph, nothing kept',
    folder,
    ['query', 'targets', '//...'],
    forget,
  );
  const warm = await figure('the same, the second time', folder, ['query', 'targets', '//...']);
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Bench', '-c', 'user.email=bench@example.invalid', ...args], { cwd: folder });
  appendFileSync(join(folder, 'group0/package3/lib0.txt'), 'changed\n');
  git('commit', '--quiet', '--all', '--message', 'second');
  const affected = ['query', 'affected', '--since', first, '--to', 'HEAD'];
  await figure('affected between two commits, nothing kept', folder, affected, forget);
  await figure('affected between two commits, both kept', folder, affected);
  await figure('affected between two commits, base kept', folder, affected, async () => {
    forget();
    git('checkout', '--quiet', first);
    await measure(folder, ['query', 'targets', '//...']);
    git('checkout', '--quiet', 'main');
  });
  if (builds) {
    const { seconds } = await measure(folder, ['build', '//...']);
    console.log(`${'build of everything, nothing kept (one run)'.padEnd(58)} ${seconds.toFixed(2).padStart(7)} s`);
    await figure('build of everything, nothing to do', folder, ['build', '//...']);
  }
  return { cold, warm };
}

console.log(
  `load average ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')}, ${runs} runs, ${new Date().toISOString()}`,
);
try {
  const small = await sized(largest / 10, true);
  const large = await sized(largest, buildsAll);
  const exponent = (key: 'cold' | 'warm') => Math.log10(large[key] / small[key]).toFixed(2);
  console.log(
    `\ngrowth of the time with the number of targets, as an exponent: cold ${exponent('cold')}, warm ${exponent('warm')}`,
  );
} finally {
  if (existsSync(base)) rmSync(base, { recursive: true, force: true });
}
