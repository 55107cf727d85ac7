/**
 * The figures of the registry and its client: `node bench/registry.ts [MIB]`, with a layer of 1024 MiB of random bytes unless
 * told. The server is `banksman registry serve`; each client is a process of its own; memory is the peak of the process
 * (VmHWM). The bound is 150 MiB for each.
 */
import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeImage, openBlobStore } from '../src/image/index.ts';

const mebibytes = Math.max(1, Number(process.argv[2] ?? 1024));
const repository = fileURLToPath(new URL('..', import.meta.url));
const banksman = join(repository, 'bin/banksman');
const base = mkdtempSync(join(tmpdir(), 'banksman-bench-'));
const environment = { ...process.env, BANKSMAN_CACHE: join(base, 'cache'), CI: 'true' };

/** MiB. */
function peakOf(pid: number | undefined): number {
  const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(found?.[1] ?? 0) / 1024;
}

async function serve(name: string) {
  const args = ['registry', 'serve', '--root', join(base, name), '--listen', '127.0.0.1:0', '--anonymous', 'push'];
  const child = spawn(banksman, args, { stdio: ['ignore', 'pipe', 'inherit'], env: environment });
  const [line] = await once(child.stdout, 'data');
  return { child, host: /http {2}(\S+)/.exec(String(line))?.[1] ?? '' };
}

/** Runs a client to its end, watched. */
async function measure(what: string, program: string, args: readonly string[]): Promise<void> {
  const began = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'], env: environment, cwd: base });
  let peak = 0;
  const look = setInterval(() => {
    try {
      peak = Math.max(peak, peakOf(child.pid));
    } catch {
      // It has ended.
    }
  }, 10);
  const [code] = await once(child, 'exit');
  clearInterval(look);
  if (code !== 0) throw new Error(`${what} ended with ${code}`);
  const seconds = (performance.now() - began) / 1000;
  tell(what, peak, `${seconds.toFixed(1)} s, ${(mebibytes / seconds).toFixed(0)} MiB/s`);
}

function tell(what: string, peak: number, more: string): void {
  console.log(`${what.padEnd(28)} ${peak.toFixed(0).padStart(5)} MiB at most  ${more}`);
  if (peak > 150) process.exitCode = 1;
}

function client(body: string): string[] {
  const door = JSON.stringify(new URL('../src/image/index.ts', import.meta.url).href);
  return ['--input-type=module-typescript', '-e', `const image = await import(${door});\n${body}`];
}

try {
  const file = openSync(join(base, 'random'), 'w');
  const piece = Buffer.alloc(1024 * 1024);
  for (let written = 0; written < mebibytes; written++) writeSync(file, randomFillSync(piece));
  const built = await makeImage({
    store: await openBlobStore(join(base, 'store')),
    output: join(base, 'image.oci'),
    packages: [],
    files: [{ destination: '/random', source: join(base, 'random') }],
    config: {},
  });
  rmSync(join(base, 'random'));
  const one = await serve('one');
  const two = await serve('two');
  console.log(`a layer of ${mebibytes} MiB; load ${loadavg()[0]?.toFixed(1)}`);
  const transport = JSON.stringify({ plainHttp: true, credentials: 'anonymous' });
  const reference = JSON.stringify(`${one.host}/bench/large:v1`);
  await measure(
    'push',
    process.execPath,
    client(
      `await image.pushImage({ layout: ${JSON.stringify(built.layout)}, reference: ${reference}, transport: ${transport} });`,
    ),
  );
  const server = peakOf(one.child.pid);
  tell('the registry meanwhile', server, '');
  await measure(
    'pull',
    process.execPath,
    client(
      `const store = await image.openBlobStore('pulled'); await image.pullImage({ reference: ${reference}, store, output: 'pulled.oci', transport: ${transport} });`,
    ),
  );
  tell('the registry after both', peakOf(one.child.pid), '');
  await measure('banksman mirror', banksman, ['mirror', `${one.host}/bench/large:v1`, two.host]);
  tell('the second registry', peakOf(two.child.pid), '');
  for (const { child } of [one, two]) child.kill('SIGTERM');
} finally {
  rmSync(base, { recursive: true, force: true });
}
