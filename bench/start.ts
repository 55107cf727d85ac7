/**
 * How long the start of a command takes in the bank's workspace: `node bench/start.ts [RUNS]`, medians of 15 runs unless told, one of
 * each command after the other, so that a busy moment meets all of them. Beside the clock the time of processors (user and system),
 * which says more on a busy machine. `kept`: as the second time; `anew`: after a change that has everything evaluated again.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const runs = Math.max(1, Number(process.argv[2] ?? 15));
const repository = fileURLToPath(new URL('..', import.meta.url));
const cache = mkdtempSync(join(tmpdir(), 'banksman-bench-'));

const banksman = join(repository, 'bin/banksman');
const commands: readonly (readonly string[])[] = [
  [process.execPath, '-e', '0'],
  [banksman, '--version'],
  [banksman, 'query', 'targets', '//bank/...'],
  [banksman, 'query', 'targets', '//...'],
  [banksman, 'query', 'deps', '//bank/ledger:image'],
  [banksman, 'query', 'revdeps', '//bank/common/metrics'],
  [banksman, 'query', 'somepath', '//bank/ledger:image', '//third_party/debian:libc6'],
  [banksman, 'query', 'whatinputs', 'bank/ledger/deployment.yaml'],
  [banksman, 'query', 'whatoutputs', 'banksman-out/gen/bank/ledger/server.jar'],
  [banksman, 'query', 'print', '//bank/ledger:image'],
  [banksman, 'query', 'graph', '--json'],
  [banksman, 'query', 'affected', '--since', 'HEAD~1'],
  [banksman, 'query', 'explain', '//bank/ledger:image', '--since', 'HEAD~1'],
];

interface Times {
  /** Milliseconds. */
  readonly clock: number;
  readonly processor: number;
}

/** One command, timed by bash: Node tells no processor time of its children. */
function measure(command: readonly string[]): Times {
  const script = 'TIMEFORMAT="times %R %U %S"; time "$@" >/dev/null';
  const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', ...command], {
    cwd: repository,
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C', BANKSMAN_CACHE: cache, NODE_COMPILE_CACHE: join(cache, 'node') },
  });
  const [, real, user, system] = /^times (\S+) (\S+) (\S+)$/m.exec(stderr) ?? [];
  if (status !== 0 || real === undefined) throw new Error(`${command.join(' ')} ended with ${status}\n${stderr}`);
  return { clock: Number(real) * 1000, processor: (Number(user) + Number(system)) * 1000 };
}

function forget(): void {
  for (const kept of ['evaluated', 'graphs']) rmSync(join(cache, kept), { recursive: true, force: true });
}

function median(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!.toFixed(0).padStart(5);
}

function report(name: string, prepare: () => void): void {
  const found = new Map<readonly string[], Times[]>(commands.map((command) => [command, []]));
  for (const command of commands) measure(command);
  for (let run = 0; run < runs; run++) {
    for (const command of commands) {
      prepare();
      found.get(command)!.push(measure(command));
    }
  }
  console.log(`\n${name.padEnd(72)} clock  processor (ms)`);
  for (const [[program = '', ...words], times] of found) {
    const text = [program === process.execPath ? 'node' : 'banksman', ...words].join(' ');
    console.log(
      `${text.padEnd(72)} ${median(times.map((each) => each.clock))}  ${median(times.map((each) => each.processor))}`,
    );
  }
}

console.log(
  `load average ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')}, ${runs} runs, ${new Date().toISOString()}`,
);
try {
  report('kept', () => {});
  report('anew', forget);
} finally {
  rmSync(cache, { recursive: true, force: true });
}
