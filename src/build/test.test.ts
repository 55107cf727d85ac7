import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Label } from '../graph/index.ts';
import { parseGoResults } from './go-results.ts';
import { formatJunit, parseJunit } from './junit.ts';
import { makeWorkspace, type TestWorkspace } from './testing/workspace.ts';
import type { TestedTarget, TestOptions } from './types.ts';

const workspaces: TestWorkspace[] = [];
async function workspace(files: Record<string, string>): Promise<TestWorkspace> {
  const made = await makeWorkspace(files);
  workspaces.push(made);
  return made;
}
afterEach(async () => {
  for (const each of workspaces.splice(0)) await each.remove();
});

async function run(w: TestWorkspace, label: Label, options: TestOptions = {}): Promise<TestedTarget> {
  const { tests } = await (await w.builder()).test([label], options);
  return tests.get(label)!;
}

const rule = (command: string, extra = '') =>
  `build_rule(name = "t", test = True, outs = ["t.sh"], content = "exit 0", data = ["d.txt"], test_cmd = """${command}"""${extra})\n`;

describe('tests', () => {
  it('count by their exit code, and are not run again while nothing changes', async () => {
    const w = await workspace({ BUILD: rule('grep -q good d.txt', ', no_test_output = True'), 'd.txt': 'good' });
    const first = await run(w, '//:t');
    expect([first.status, first.cached, first.cases.length]).toEqual(['passed', false, 1]);
    expect((await run(w, '//:t')).cached).toBe(true);
    expect((await run(w, '//:t', { rerun: true })).cached).toBe(false);
    await w.write({ 'd.txt': 'good still' });
    expect((await run(w, '//:t')).cached).toBe(false);
    await w.write({ 'd.txt': 'bad' });
    const bad = await run(w, '//:t');
    expect([bad.status, bad.fault?.code, bad.fault?.place?.file]).toEqual(['failed', 'build/test-failed', 'BUILD']);
    expect((await run(w, '//:t')).cached).toBe(false);
    await w.write({ 'd.txt': 'good' });
    expect((await run(w, '//:t')).cached).toBe(true);
  });

  it('say why they ran', async () => {
    const w = await workspace({ BUILD: rule('grep -q good d.txt', ', no_test_output = True'), 'd.txt': 'good' });
    const why = async (options = {}) => (await run(w, '//:t', options)).why;
    expect(await why()).toBe('it was not run here before');
    expect(await why()).toBeUndefined();
    expect(await why({ rerun: true })).toBe('it was to be run again');
    await w.write({ 'd.txt': 'bad' });
    expect(await why()).toBe('d.txt has changed');
    await w.write({ BUILD: rule('grep -q bad d.txt', ', no_test_output = True') });
    expect(await why()).toBe('its test_cmd changed');
    await w.write({ BUILD: rule('grep -q good d.txt', ', no_test_output = True') });
    expect(await why()).toBe('its test_cmd changed');
    expect(await why()).toBe('it has not passed with these inputs');
  });

  it('show what they printed, and leave a report', async () => {
    const w = await workspace({
      'p/BUILD': rule('echo to out; echo to err >&2; exit 4', ', no_test_output = True'),
      'p/d.txt': '',
    });
    const { fault, report, output } = await run(w, '//p:t');
    expect(output).toBe('to out\nto err\n');
    expect(fault?.message).toBe('//p:t failed with exit code 4');
    expect(fault?.notes).toEqual(['to out\nto err']);
    expect(report).toBe(join(w.root, 'banksman-out/test/p/t.xml'));
    expect(parseJunit(await readFile(report, 'utf8'))).toMatchObject([{ name: 't', suite: 'p', status: 'failed' }]);
  });

  it('fail by the cases of their report even when they end well', async () => {
    const report =
      '<testsuite name="s"><testcase name="a" time="0.5"/><testcase name="b"><failure message="1 is not 2"/></testcase></testsuite>';
    const w = await workspace({ BUILD: rule(`echo '${report}' > $RESULTS_FILE`), 'd.txt': '' });
    const tested = await run(w, '//:t');
    expect(tested.cases).toMatchObject([
      { name: 'a', status: 'passed', seconds: 0.5 },
      { name: 'b', status: 'failed', message: '1 is not 2' },
    ]);
    expect(tested.fault?.message).toBe('//:t: 1 of 2 tests failed');
    expect(tested.fault?.notes).toEqual(['s b\n1 is not 2']);
  });

  it('that write no report, or one that is no XML, do not pass', async () => {
    const w = await workspace({
      BUILD: rule('true'),
      'p/BUILD': rule('echo "<testsuite" > $RESULTS_FILE'),
      'd.txt': '',
      'p/d.txt': '',
    });
    for (const label of ['//:t', '//p:t'] as const) {
      const { fault, report } = await run(w, label);
      expect(fault?.code).toBe('build/bad-test-report');
      // CI systems see the report alone.
      const [failed, ...more] = parseJunit(await readFile(report, 'utf8'));
      expect(failed).toMatchObject({ name: 't', status: 'failed', message: expect.stringContaining('passed, but it') });
      expect(more).toEqual([]);
    }
  });

  it('that fail although all their cases have passed have failed in the report, too', async () => {
    const passed = '<testsuite><testcase name="a"/></testsuite>';
    const w = await workspace({ BUILD: rule(`echo '${passed}' > $RESULTS_FILE; exit 3`), 'd.txt': '' });
    const { report } = await run(w, '//:t');
    expect(parseJunit(await readFile(report, 'utf8'))).toMatchObject([
      { name: 'a', status: 'passed' },
      { name: 't', status: 'failed', message: '//:t failed with exit code 3' },
    ]);
  });

  it('end at their time limit', async () => {
    const w = await workspace({
      BUILD: rule('echo begun; sleep 60', ', test_timeout = 1, no_test_output = True'),
      'd.txt': '',
    });
    const { fault, report } = await run(w, '//:t');
    expect([fault?.code, fault?.notes]).toEqual(['build/timed-out', ['begun']]);
    expect(await readFile(report, 'utf8')).toContain('<failure message="//:t took longer than 1 s and was stopped">');
  });

  it('are tried again when they are flaky, and only then', async () => {
    // Attempts share nothing, so chance has to decide: forty tosses of a coin.
    const w = await workspace({
      BUILD: rule(
        'test $((0x$(head -c1 /dev/urandom | od -An -tx1 | tr -d " ") % 2)) = 0',
        ', flaky = 40, no_test_output = True',
      ),
      'p/BUILD': rule('exit 1', ', flaky = 3, no_test_output = True'),
      'q/BUILD': rule('exit 1', ', no_test_output = True'),
      'd.txt': '',
      'p/d.txt': '',
      'q/d.txt': '',
    });
    expect((await run(w, '//:t')).status).toBe('passed');
    const bad = await run(w, '//p:t');
    expect([bad.status, bad.attempts]).toEqual(['failed', 3]);
    expect((await run(w, '//q:t')).attempts).toBe(1);
  });

  it('have data of data and tools, and nothing else', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "inner", outs = ["inner.txt"], content = "inner")
build_rule(name = "outer", outs = ["outer.txt"], content = "outer", data = [":inner", "file.txt"])
build_rule(name = "tool", outs = ["tool"], content = "#!/bin/sh\\necho tool", binary = True)
build_rule(
    name = "t", test = True, no_test_output = True, data = {"mine": [":outer"]}, test_tools = [":tool"],
    test_cmd = """set -e; ls > list; echo "inner.txt outer.txt file.txt list" | tr ' ' '\\n' | sort | diff - list
test "$DATA_MINE" = outer.txt; test "$($TOOL)" = tool; test "$(cat $(location :outer))" = outer""")
`,
      'file.txt': '',
      'undeclared.txt': '',
    });
    const { status, output } = await run(w, '//:t');
    expect([status, output]).toEqual(['passed', '']);
  });

  it('that need what cannot be built are told so', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "bad", outs = ["b"], cmd = "exit 1")
build_rule(name = "t", test = True, data = [":bad"], test_cmd = "true", no_test_output = True)
`,
    });
    const { tests, failures } = await (await w.builder()).test(['//:t'], { keepGoing: true });
    expect([tests.size, failures.map(({ code }) => code)]).toEqual([0, ['build/action-failed']]);
  });
});

describe('reports', () => {
  it('come back from JUnit XML as they went in', () => {
    const cases = [
      { name: 'a "quoted" <b> & c', suite: 's.é', status: 'passed', seconds: 1.5 },
      { name: 'f', suite: '', status: 'failed', seconds: 0, message: 'line one\n]]> & \u0001' },
      { name: 'k', suite: '', status: 'skipped', seconds: 0, message: 'not now' },
      { name: 'o', suite: '', status: 'passed', seconds: 0, output: 'said <this>' },
    ] as const;
    const back = parseJunit(formatJunit('//x:y', cases, 'out\u0000put'));
    expect(back.map(({ suite: _suite, ...rest }) => rest)).toEqual(
      cases.map(({ suite: _suite, ...rest }) => ({
        ...rest,
        ...('message' in rest && { message: rest.message.replace('\u0001', '\ufffd') }),
      })),
    );
  });

  it('are refused where they are not well formed, without growing or hanging', () => {
    const bomb = `<!DOCTYPE x [<!ENTITY a "b">]><testsuite>&a;</testsuite>`;
    const bad = [
      '',
      'x',
      '<a>',
      '</a>',
      '<a></b>',
      '<testsuite/><testsuite/>',
      '<a b=c/>',
      bomb,
      '<html/>',
      '<'.repeat(100_000),
    ];
    for (const text of [...bad, '<a>'.repeat(200_000)]) expect(() => parseJunit(text)).toThrow();
  });

  it('are read from what Go test programs print', () => {
    const text = `=== RUN   TestA
    a_test.go:3: note
--- PASS: TestA (0.10s)
=== RUN   TestB
=== RUN   TestB/sub
    b_test.go:9: got 1
--- FAIL: TestB (0.00s)
    --- FAIL: TestB/sub (0.00s)
=== RUN   TestC
    c_test.go:1: later
--- SKIP: TestC (0.00s)
=== RUN   TestD
panic: boom
`;
    expect(parseGoResults(text, 's')).toEqual([
      { name: 'TestA', suite: 's', status: 'passed', seconds: 0.1 },
      { name: 'TestB', suite: 's', status: 'failed', seconds: 0 },
      { name: 'TestB/sub', suite: 's', status: 'failed', seconds: 0, message: 'b_test.go:9: got 1' },
      { name: 'TestC', suite: 's', status: 'skipped', seconds: 0, message: 'c_test.go:1: later' },
      { name: 'TestD', suite: 's', status: 'failed', seconds: 0, message: 'panic: boom\nthe test did not end' },
    ]);
  });
});
