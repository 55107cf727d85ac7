/**
 * How long 100 unchanged images take to be resolved to their digests: `node bench/image-resolve.ts [N] [IMAGES]`.
 *
 * A workspace is made in which each image has Debian-like layers in common and a file of its own. It is built once; then each run is
 * a new process of `banksman image ls --json`, its start included, and one builder in a process that has started already.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openWorkspace } from '../src/graph/index.ts';
import { silent } from '../src/progress/index.ts';
import { createWorkspaceBuilder } from '../src/release/building/index.ts';
import { banksman } from '../test/e2e/workspace.ts';

const runs = Math.max(1, Number(process.argv[2] ?? 5));
const count = Math.max(1, Number(process.argv[3] ?? 100));

console.log(
  `load average ${loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')}, ${runs} runs, ${count} images, ${new Date().toISOString()}`,
);

const base = await mkdtemp(join(tmpdir(), 'banksman-resolve-'));
try {
  const root = join(base, 'workspace');
  const env = { BANKSMAN_CACHE: join(base, 'cache') };
  Object.assign(process.env, env);
  await mkdir(root);
  await writeFile(join(root, 'banksman.yaml'), 'name: bench\n');
  for (let number = 0; number < count; number++) {
    const folder = join(root, `service${number}`);
    await mkdir(folder);
    await writeFile(join(folder, 'program'), `the program ${number}\n`);
    await writeFile(
      join(folder, 'BUILD'),
      `docker_image(
    name = "image",
    layers = [{"name": "one", "files": {"/one": {"content": "shared"}}}, {"name": "two", "files": {"/two": {"content": "shared"}}}],
    files = {"/program": "program"},
    entrypoint = ["/program"],
)
`,
    );
  }
  execFileSync('git', ['init', '-q', root]);
  execFileSync('git', ['add', '-A'], { cwd: root });
  const commit = ['-c', 'user.name=B', '-c', 'user.email=b@example.invalid', 'commit', '-qm', 'bench'];
  execFileSync('git', commit, { cwd: root });
  const built = await banksman(root, ['image', 'ls', '--json'], env);
  if (built.code !== 0) throw new Error(built.stderr);

  const whole: number[] = [];
  const resolving: number[] = [];
  for (let run = 0; run < runs; run++) {
    let began = performance.now();
    const outcome = await banksman(root, ['image', 'ls', '--json'], env);
    whole.push(performance.now() - began);
    if (outcome.stdout !== built.stdout) throw new Error('the images are other ones than before');
    const builder = await createWorkspaceBuilder(await openWorkspace(root), { progress: silent });
    began = performance.now();
    const images = await builder.images();
    resolving.push(performance.now() - began);
    if (images.length !== count) throw new Error(`${images.length} images`);
  }
  report('banksman image ls --json, a new process each time', whole);
  report('builder.images(), the graph loaded', resolving);
} finally {
  await rm(base, { recursive: true, force: true });
}

function report(name: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const [least = 0, most = 0] = [sorted[0], sorted.at(-1)];
  console.log(`${median.toFixed(0).padStart(6)} ms  (${least.toFixed(0)} to ${most.toFixed(0)})  ${name}`);
}
