import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { banksman, makeWorkspace, repository } from '../e2e/workspace.ts';

let root: string;
let cache: string;
const removals: (() => Promise<void>)[] = [];
const env = () => ({ BANKSMAN_CACHE: cache });

beforeAll(async () => {
  const made = await makeWorkspace({
    'banksman.yaml': 'name: x\n',
    BUILD: `
genrule(name = "good", srcs = ["in.txt"], outs = ["good.txt"], cmd = "cp $SRC $OUT", visibility = ["PUBLIC"])
genrule(name = "bad", outs = ["bad.txt"], cmd = "echo what is wrong >&2; exit 3")
genrule(name = "after", srcs = [":bad"], outs = ["after.txt"], cmd = "cp $SRC $OUT")
genrule(name = "slow", outs = ["slow.txt"], cmd = "sleep 4321; touch $OUT")
`,
    't/BUILD': `
gentest(name = "passes", data = ["//:good"], test_cmd = "true", no_test_output = True)
gentest(name = "fails", test_cmd = "echo expected 1, got 2; exit 1", no_test_output = True)
gentest(name = "late", test_cmd = "echo begun; sleep 30", timeout = 1, no_test_output = True)
`,
    'in.txt': 'one\n',
  });
  root = made.root;
  cache = await mkdtemp(join(tmpdir(), 'banksman-cache-'));
  removals.push(made.remove, () => rm(cache, { recursive: true }));
});
afterAll(async () => {
  for (const remove of removals) await remove();
});

it('build says with --explain why each action ran', async () => {
  const first = await banksman(root, ['build', '//:good', '--explain'], env());
  expect(first.stdout).toBe(`${root}/banksman-out/gen/good.txt\n`);
  expect(first.stderr).toMatch(/\/\/:good: it was not built here before \(\d/);
  // `git add .` takes in nothing that was built.
  expect(await readFile(join(root, 'banksman-out/.gitignore'), 'utf8')).toBe('*\n');
  await writeFile(join(root, 'in.txt'), 'two\n');
  const second = await banksman(root, ['build', '//:good', '--explain'], env());
  expect(second.stderr).toMatch(/\/\/:good: in.txt has changed \(\d/);
  const third = await banksman(root, ['build', '//:good', '--explain'], env());
  expect(third.stderr).toBe('✓ 1 target: 0 actions ran, 1 cached\n');
});

it('build -k goes on, says what failed and what was not built, and fails', async () => {
  const outcome = await banksman(root, ['build', '-k', '//:after', '//:bad', '//:good'], env());
  expect(outcome.code).toBe(1);
  expect(outcome.stderr).toContain('✗ 1 target, 2 not built');
  expect(outcome.stderr.match(/error\[/g)).toHaveLength(1);
  expect(outcome.stderr).toContain('what is wrong');
  expect(await readFile(join(root, 'banksman-out/log/bad.log'), 'utf8')).toBe('what is wrong\n');
});

it('test shows what a failed test printed, at the end, and where its report is', async () => {
  const outcome = await banksman(root, ['test', '//t/...', '--explain'], env());
  expect(outcome.code).toBe(1);
  expect(outcome.stdout).toMatch(/✓ \/\/t:passes.*\n/);
  expect(outcome.stdout).toMatch(/✗ \/\/t:fails.*\n/);
  expect(outcome.stdout).toMatch(/1 passed, 2 failed\n$/);
  expect(outcome.stderr).toContain('test of //t:passes: it was not run here before');
  expect(outcome.stderr).toMatch(/error\[build\/test-failed\][\s\S]*expected 1, got 2/);
  expect(outcome.stderr).toMatch(/error\[build\/timed-out\][\s\S]*begun/);
  expect(await readFile(join(root, 'banksman-out/test/t/fails.xml'), 'utf8')).toContain('<failure');
  const passed = await banksman(root, ['test', '//t:passes', '--json'], env());
  expect(JSON.parse(passed.stdout)).toMatchObject([{ passed: true, cached: true }]);
  const again = await banksman(root, ['test', '//t:passes', '--json', '--rerun'], env());
  expect(JSON.parse(again.stdout)).toMatchObject([{ passed: true, cached: false }]);
});

it('^C stops the children, and what was made before is kept', async () => {
  await rm(join(cache, 'build'), { recursive: true });
  await rm(join(root, 'banksman-out'), { recursive: true });
  const isBuilt = () =>
    stat(join(root, 'banksman-out/gen/good.txt')).then(
      () => true,
      () => false,
    );
  const child = spawn(join(repository, 'bin/banksman'), ['build', '//:good', '//:slow'], {
    cwd: root,
    env: { ...process.env, ...env(), CI: 'true' },
    stdio: 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const deadline = Date.now() + 20_000;
  while (((await sleepers()) === 0 || !(await isBuilt())) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(await sleepers()).toBeGreaterThan(0);
  child.kill('SIGINT');
  expect(await ended).toBe(130);
  expect(await sleepers()).toBe(0);
  expect(await readdir(join(cache, 'build/scratch'))).toEqual([]);
  expect((await banksman(root, ['build', '//:good'], env())).stderr).toContain('0 actions ran, 1 cached');
});

async function sleepers(): Promise<number> {
  let count = 0;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command === 'sleep\x004321\x00') count++;
  }
  return count;
}
