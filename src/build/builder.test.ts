import { chmod, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { BuildFault } from './fault.ts';
import { makeWorkspace, type TestWorkspace } from './testing/workspace.ts';

const workspaces: TestWorkspace[] = [];
async function workspace(...args: Parameters<typeof makeWorkspace>): Promise<TestWorkspace> {
  const made = await makeWorkspace(...args);
  workspaces.push(made);
  return made;
}
afterEach(async () => {
  for (const each of workspaces.splice(0)) await each.remove();
});

const text = (path: string | undefined) => readFile(path ?? '', 'utf8');

/** The fault that a promise ends with. */
async function faultOf(promise: Promise<unknown>): Promise<BuildFault> {
  return promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: BuildFault) => error,
  );
}

const chain = {
  'a/BUILD': `
build_rule(name = "upper", srcs = ["in.txt"], outs = ["upper.txt"], cmd = "tr a-z A-Z < $SRC | head -n 1 > $OUT")
build_rule(name = "twice", srcs = [":upper"], outs = ["twice.txt"], cmd = "cat $SRC $SRC > $OUT", visibility = ["PUBLIC"])
`,
  'b/BUILD': `build_rule(name = "count", deps = ["//a:twice"], outs = ["count"], cmd = "wc -c < a/twice.txt > $OUT")`,
  'a/in.txt': 'hello\nsecond line\n',
};

describe('building', () => {
  it('lays out one file at a path: of two inputs that differ, both are named', async () => {
    const files = {
      'a/BUILD': 'build_rule(name = "a", srcs = ["o"], visibility = ["PUBLIC"], _filegroup = True)',
      'a/o': 'source',
      BUILD: `
build_rule(name = "made", outs = ["a/o"], cmd = "mkdir -p a && echo other > $OUT")
build_rule(name = "x", srcs = ["//a", ":made"], outs = ["x"], cmd = "cat $SRCS > $OUT")
`,
    };
    const w = await workspace(files);
    expect(await faultOf(w.build('//:x'))).toMatchObject({
      code: 'build/bad-output',
      message: 'two inputs of the action have the path a/o, and are not the same: //a:a and //:made',
    });
  });

  it('makes outputs from declared inputs, and does nothing the second time', async () => {
    const w = await workspace(chain);
    const first = await w.build('//b:count');
    expect(await text(first.files[0]?.absolute)).toBe('12\n');
    expect(first.files[0]?.absolute).toBe(join(w.root, 'banksman-out/gen/b/count'));
    expect(Object.keys(first.ran).sort()).toEqual(['//a:twice', '//a:upper', '//b:count']);
    expect((await w.build('//b:count')).ran).toEqual({});
  });

  it('stops where an output comes out the same, and says why the rest ran', async () => {
    const w = await workspace(chain);
    await w.build('//b:count');
    await w.write({ 'a/in.txt': 'hello\nanother second line\n' });
    expect((await w.build('//b:count')).ran).toEqual({ '//a:upper': 'a/in.txt has changed' });
    await w.write({ 'a/in.txt': 'hullo\n' });
    const { ran, files } = await w.build('//b:count');
    expect(ran).toEqual({
      '//a:upper': 'a/in.txt has changed',
      '//a:twice': 'a/upper.txt of //a:upper has changed',
      '//b:count': 'output a/twice.txt of //a:twice has changed',
    });
    expect(await text(files[0]?.absolute)).toBe('12\n');
    await w.write({ 'a/in.txt': 'hello\nsecond line\n' });
    expect((await w.build('//b:count')).ran).toEqual({});
  });

  it('runs again when the command, a mode or a variable passed on changes, not when a comment does', async () => {
    const rule = (extra: string) =>
      `build_rule(name = "x", srcs = ["s.sh"], outs = ["x"], cmd = "./s.sh > $OUT", pass_env = ["BANKSMAN_TEST_VALUE"]${extra})`;
    const w = await workspace({ BUILD: rule(''), 's.sh': '#!/bin/sh\necho "$BANKSMAN_TEST_VALUE"\n' });
    await chmod(join(w.root, 's.sh'), 0o755);
    process.env.BANKSMAN_TEST_VALUE = 'one';
    try {
      expect(await text((await w.build('//:x')).files[0]?.absolute)).toBe('one\n');
      await w.write({ BUILD: `# a comment\n${rule('')}` });
      expect((await w.build('//:x')).ran).toEqual({});
      process.env.BANKSMAN_TEST_VALUE = 'two';
      expect((await w.build('//:x')).ran).toEqual({ '//:x': 'variable BANKSMAN_TEST_VALUE has changed' });
      await w.write({ BUILD: rule(', env = {"A": "b"}') });
      expect((await w.build('//:x')).ran).toEqual({ '//:x': 'its env changed' });
      await w.write({ BUILD: rule(', env = {"A": "b"}').replace('./s.sh', 'sh ./s.sh') });
      expect((await w.build('//:x')).ran).toEqual({ '//:x': 'its cmd changed' });
      await w.write({ BUILD: rule(', env = {"A": "b"}, exit_on_error = False') });
      expect((await w.build('//:x')).ran).toEqual({ '//:x': 'its cmd changed; its exit_on_error changed' });
      await chmod(join(w.root, 's.sh'), 0o644);
      expect((await faultOf(w.build('//:x'))).code).toBe('build/action-failed');
    } finally {
      delete process.env.BANKSMAN_TEST_VALUE;
    }
  });

  it("gives Please's variables and sequences", async () => {
    const w = await workspace({
      'p/BUILD': `
build_rule(name = "tool", srcs = ["tool.sh"], outs = ["bin/tool"], cmd = "cp $SRC $OUT", binary = True, data = ["words.txt"])
build_rule(
    name = "x",
    srcs = {"main": ["a.txt"], "other": ["b.txt", ":gen"]},
    outs = {"first": ["o1", "sub/o2"], "second": ["o3"]},
    tools = {"mine": [":tool"], "system": ["sed"]},
    cmd = r"""
echo "$PKG|$PKG_DIR|$NAME|$SRCS|$SRCS_MAIN|$SRCS_OTHER|$OUTS|$OUTS_FIRST" > p/o1
echo "$(location :gen)|$(dir :gen)|"'\\$(location x)'"|$(echo sub)" > p/sub/o2
{ $(exe :tool); $TOOLS_MINE; echo hi | $TOOLS_SYSTEM s/hi/ho/; pwd; echo $HOME; umask; } > $OUTS_SECOND
""",
)
build_rule(name = "gen", outs = ["gen.txt"], content = "generated")
`,
      'p/a.txt': '',
      'p/b.txt': '',
      'p/words.txt': 'words\n',
      'p/tool.sh': '#!/bin/bash\ncat "$(dirname "$0")/../words.txt"\n',
    });
    await chmod(join(w.root, 'p/tool.sh'), 0o755);
    const { files } = await w.build('//p:x');
    const by = Object.fromEntries(await Promise.all(files.map(async (file) => [file.path, await text(file.absolute)])));
    expect(by['p/o1']).toBe('p|p|x|p/a.txt p/b.txt p/gen.txt|p/a.txt|p/b.txt p/gen.txt|o1 o3 sub/o2|o1 sub/o2\n');
    expect(by['p/sub/o2']).toBe('p/gen.txt|p|$(location x)|sub\n');
    expect(by['p/o3']).toBe('words\nwords\nho\n/tmp/banksman\n/tmp/banksman\n0022\n');
  });

  it('takes outputs from the root of the scratch folder too, where Please has them, but no inputs', async () => {
    const w = await workspace({
      BUILD: 'build_rule(name = "z", outs = ["z"], cmd = "echo input > $OUT", visibility = ["PUBLIC"])\n',
      'p/BUILD': `
build_rule(name = "x", outs = ["x", "deep/y", "folder"], cmd = "echo 1 > x; mkdir folder; echo 2 > deep/y; echo 3 > folder/f")
build_rule(name = "z", deps = ["//:z"], outs = ["z"], cmd = "cat z")
`,
    });
    const { files } = await w.build('//p:x');
    const made = await Promise.all(
      files.filter(({ path }) => !path.endsWith('folder')).map((file) => text(file.absolute)),
    );
    expect(files.map(({ path }) => path).sort()).toEqual(['p/deep/y', 'p/folder', 'p/x']);
    expect(made.sort()).toEqual(['1\n', '2\n']);
    expect((await faultOf(w.build('//p:z'))).code).toBe('build/missing-output');
  });

  it('takes the backslash from each \\$ of a command, as Please does', async () => {
    const w = await workspace({
      'p/BUILD': String.raw`build_rule(name = "x", outs = ["x"], cmd = "echo a b | awk '{ print \$2 }' > $OUT; y=5; echo \$y '\\$z' >> $OUT")`,
    });
    const { files } = await w.build('//p:x');
    expect(await text(files[0]?.absolute)).toBe('b\n5 $z\n');
  });

  it('keeps folders, links in them and executable bits as outputs', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "d", outs = ["d"], cmd = "mkdir -p $OUT/sub/empty; echo x > $OUT/sub/f; chmod +x $OUT/sub/f; ln -s sub/f $OUT/l")
build_rule(name = "use", deps = [":d"], outs = ["o"], cmd = "d/l 2>/dev/null || cat d/l > $OUT; test -d d/sub/empty; test -x d/sub/f")
build_rule(name = "linked", deps = [":d"], outs = ["copy"], cmd = "ln -s $TMP_DIR/d/sub/f $OUT")
`,
    });
    const { files } = await w.build('//:use');
    expect(await text(files[0]?.absolute)).toBe('x\n');
    const { files: linked } = await w.build('//:linked');
    expect(await text(linked[0]?.absolute)).toBe('x\n');
    const { files: folder } = await w.build('//:d');
    expect(folder[0]?.kind).toBe('folder');
    expect((await stat(join(folder[0]!.absolute, 'l'))).mode & 0o111).not.toBe(0);
  });

  it('hands out named outputs, exported dependencies and transitive ones', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "a", outs = {"h": ["a.h"], "c": ["a.c"]}, cmd = "echo h > a.h; echo c > a.c")
build_rule(name = "b", deps = [":a"], outs = ["b.txt"], content = "b")
build_rule(name = "e", exported_deps = [":a"], outs = ["e.txt"], content = "e")
build_rule(name = "stop", deps = [":a"], outs = ["s.txt"], content = "s", output_is_complete = True)
build_rule(name = "named", srcs = [":a|h"], outs = ["1"], cmd = "ls *.[ch] > $OUT")
build_rule(name = "direct", deps = [":b"], outs = ["2"], cmd = "ls *.txt *.[ch] > $OUT 2>/dev/null || true")
build_rule(name = "exported", deps = [":e"], outs = ["3"], cmd = "ls *.txt *.[ch] > $OUT")
build_rule(name = "every", deps = [":b"], outs = ["4"], cmd = "ls *.txt *.[ch] > $OUT", needs_transitive_deps = True)
build_rule(name = "stopped", deps = [":stop"], outs = ["5"], cmd = "ls *.txt *.[ch] > $OUT 2>/dev/null || true", needs_transitive_deps = True)
`,
    });
    const out = async (name: string) =>
      (await text((await w.build(`//:${name}`)).files[0]?.absolute)).trim().split('\n');
    expect(await out('named')).toEqual(['a.h']);
    expect(await out('direct')).toEqual(['b.txt']);
    expect(await out('exported')).toEqual(['a.c', 'a.h', 'e.txt']);
    expect(await out('every')).toEqual(['a.c', 'a.h', 'b.txt']);
    expect(await out('stopped')).toEqual(['s.txt']);
  });

  it('replaces outputs that change their kind', async () => {
    const w = await workspace({ BUILD: 'build_rule(name = "x", outs = ["o"], content = "file")' });
    await w.build('//:x');
    await w.write({ BUILD: 'build_rule(name = "x", outs = ["o/p"], cmd = "echo deep > $OUT")' });
    expect(await text((await w.build('//:x')).files[0]?.absolute)).toBe('deep\n');
    await w.write({ BUILD: 'build_rule(name = "x", outs = ["o"], content = "file")' });
    expect(await text((await w.build('//:x')).files[0]?.absolute)).toBe('file');
  });

  it('follows links among the sources', async () => {
    const w = await workspace({
      BUILD: 'build_rule(name = "x", srcs = ["link"], outs = ["o"], cmd = "cat $SRC > $OUT")',
      real: 'one',
    });
    await symlink('real', join(w.root, 'link'));
    expect(await text((await w.build('//:x')).files[0]?.absolute)).toBe('one');
    await w.write({ real: 'two' });
    expect(await text((await w.build('//:x')).files[0]?.absolute)).toBe('two');
    await rm(join(w.root, 'link'));
    await w.write({
      BUILD: 'build_rule(name = "x", srcs = ["link"], outs = ["o"], cmd = "cat $SRC/* > $OUT")',
      'folder/f': 'three',
    });
    await symlink('folder', join(w.root, 'link'));
    expect(await text((await w.build('//:x')).files[0]?.absolute)).toBe('three');
  });

  it.each([
    ['/etc/passwd', 'out of the workspace'],
    ['../../../etc/passwd', 'out of the workspace'],
    ['second', 'out of the workspace'],
    ['gone', 'to nothing'],
    ['link', 'back to itself'],
  ])('refuses a link to %s, %s', async (to, where) => {
    const w = await workspace({
      BUILD: 'build_rule(name = "x", srcs = ["link"], outs = ["o"], cmd = "cat $SRC > $OUT")',
    });
    await symlink('/etc/passwd', join(w.root, 'second'));
    await symlink(to, join(w.root, 'link'));
    const fault = await faultOf(w.build('//:x'));
    expect(fault).toMatchObject({ code: 'build/bad-source', place: { file: 'BUILD' } });
    expect(fault.message).toContain(`is a link that leads ${where}`);
  });
});

describe('failures', () => {
  it('shows the end of what the command printed, and where the target stands', async () => {
    const w = await workspace({
      'p/BUILD': 'build_rule(name = "x", outs = ["o"], cmd = "echo before; echo the reason >&2; exit 3")',
    });
    const fault = await faultOf(w.build('//p:x'));
    expect(fault.code).toBe('build/action-failed');
    expect(fault.message).toBe('the action of //p:x failed with exit code 3');
    expect(fault.place?.file).toBe('p/BUILD');
    expect(fault.notes).toEqual(['before\nthe reason']);
    expect(fault.next).toContain('banksman-out/log/p/x.log');
    expect(await text(join(w.root, 'banksman-out/log/p/x.log'))).toBe('before\nthe reason\n');
  });

  it('hold a result of before against a sum that was locked since', async () => {
    const rule = (more: string) => `build_rule(name = "x", outs = ["o"], cmd = "echo a > $OUT"${more})`;
    const w = await workspace({ BUILD: rule('') });
    await w.build('//:x');
    await w.write({ BUILD: rule(`, hashes = ["${'0'.repeat(64)}"]`) });
    expect((await faultOf(w.build('//:x'))).code).toBe('build/hash-mismatch');
  });

  it('names outputs that were not made, and sums that do not fit', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "x", outs = ["o", "p"], cmd = "echo > o; echo > other")
build_rule(name = "y", outs = ["y"], cmd = "echo y > $OUT", hashes = ["${'0'.repeat(64)}"])
build_rule(name = "z", outs = ["z"], cmd = "ln -s /etc/hostname $OUT")
`,
    });
    const missing = await faultOf(w.build('//:x'));
    expect([missing.code, missing.message]).toEqual(['build/missing-output', 'the action of //:x did not make p']);
    expect(missing.notes[0]).toContain('other');
    const sum = await faultOf(w.build('//:y'));
    expect(sum.code).toBe('build/hash-mismatch');
    expect(sum.notes.join()).toMatch(/had: {4}[0-9a-f]{64}/);
    expect((await faultOf(w.build('//:z'))).code).toBe('build/bad-output');
  });

  it('ends what takes too long, with its children', async () => {
    const seconds = 20_000 + process.pid;
    const w = await workspace({
      BUILD: `build_rule(name = "x", outs = ["o"], cmd = "sleep ${seconds} & sleep ${seconds}", timeout = 1)`,
    });
    const fault = await faultOf(w.build('//:x'));
    expect(fault.code).toBe('build/timed-out');
    expect(await processesWith(`sleep\u0000${seconds}`)).toEqual([]);
  });

  it('does not start what depends on a failure, and goes on with the rest when asked to', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "bad", outs = ["bad"], cmd = "exit 1")
build_rule(name = "after", srcs = [":bad"], outs = ["after"], cmd = "cp $SRC $OUT")
build_rule(name = "good", outs = ["good"], cmd = "sleep 0.2; echo good > $OUT")
`,
    });
    const builder = await w.builder();
    const result = await builder.build(['//:after', '//:good'], { keepGoing: true });
    expect(result.failures.map((fault) => fault.message)).toEqual(['the action of //:bad failed with exit code 1']);
    expect([...result.targets.keys()]).toEqual(['//:good']);
    expect((await faultOf((await w.builder()).build(['//:after', '//:good']))).message).toContain('//:bad');
  });

  it('names a program that is not there, and what to do', async () => {
    const w = await workspace({
      BUILD: 'build_rule(name = "x", outs = ["o"], tools = ["no-such-compiler"], cmd = "$TOOL > $OUT")',
    });
    const fault = await faultOf(w.build('//:x'));
    expect(fault.code).toBe('build/tool-not-found');
    expect(fault.place?.file).toBe('BUILD');
    expect(fault.next).toContain('install no-such-compiler');
  });

  it('names a label that a command uses without declaring it', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "a", outs = ["a"], content = "")
build_rule(name = "x", outs = ["o"], cmd = "cat $(location :a) > $OUT")
`,
    });
    expect((await faultOf(w.build('//:x'))).code).toBe('build/undeclared-input');
  });

  it('does not keep what was made from a source that changed meanwhile', async () => {
    const nap = `2.${process.pid}`;
    const w = await workspace({
      BUILD: `build_rule(name = "x", srcs = ["s"], outs = ["o"], cmd = "sleep ${nap}; cat $SRC > $OUT")`,
      s: 'before',
    });
    const building = faultOf(w.build('//:x'));
    // It has its copy of the source, and has not ended.
    while ((await processesWith(`sleep\u0000${nap}`)).length === 0) await sleep(5);
    await w.write({ s: 'after' });
    expect((await building).code).toBe('build/input-changed');
    expect(await text((await w.build('//:x')).files[0]?.absolute)).toBe('after');
  });
});

/** Command lines of processes that hold a text. */
async function processesWith(part: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (line.includes(part)) found.push(line);
  }
  return found;
}

describe('the sandbox', () => {
  it('shows declared inputs and nothing else of the disk, and no network', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "x", srcs = ["s"], outs = ["o"], cmd = """
find . -type f ! -name o | sort > $OUT
test ! -e $(cat s)
test -w / && touch /etc/x 2>/dev/null && exit 7
ls /sys/class/net 2>/dev/null && exit 8
test "$(wc -l < /proc/net/dev)" = 3
test "$(id -u)" = 1000
ls /root /home 2>/dev/null && exit 9
ls /etc/shadow /etc/ssh 2>/dev/null && exit 10
true
""")`,
      other: 'not declared',
    });
    await w.write({ s: join(w.root, 'other') });
    const { files } = await w.build('//:x');
    expect(await text(files[0]?.absolute)).toBe('./s\n');
  });

  it('gives no variables of the user, and the same time zone and locale to all', async () => {
    process.env.BANKSMAN_TEST_SECRET = 'x';
    const w = await workspace({ BUILD: 'build_rule(name = "x", outs = ["o"], cmd = "env | sort > $OUT")' });
    const { files } = await w.build('//:x');
    delete process.env.BANKSMAN_TEST_SECRET;
    const names = (await text(files[0]?.absolute)).split('\n').map((line) => line.split('=')[0]);
    expect(names).not.toContain('BANKSMAN_TEST_SECRET');
    expect(names).not.toContain('USER');
    expect(await text(files[0]?.absolute)).toContain('TZ=UTC\n');
  });

  it('shows the same times of files whenever it runs', async () => {
    const w = await workspace({
      BUILD:
        'build_rule(name = "x", srcs = ["s", "d"], outs = ["o"], cmd = "find $SRCS -type f -printf \'%p %TY\\n\' | sort > $OUT")',
      s: '',
      'd/f': '',
    });
    expect(await text((await w.build('//:x')).files[0]?.absolute)).toBe('d/f 2000\ns 2000\n');
  });

  it('knows the version of a program of the system', async () => {
    const folder = join(tmpdir(), `banksman-tool-${process.pid}`);
    const tool = join(folder, 'banksman-test-tool');
    const path = process.env.PATH;
    await mkdir(folder);
    try {
      const w = await workspace({
        BUILD: 'build_rule(name = "x", tools = ["banksman-test-tool"], outs = ["o"], cmd = "$TOOL > $OUT")',
      });
      await writeFile(tool, '#!/bin/sh\necho one\n', { mode: 0o755 });
      process.env.PATH = `${folder}:${path}`;
      expect(await text((await w.build('//:x')).files[0]?.absolute)).toBe('one\n');
      await writeFile(tool, '#!/bin/sh\necho two\n');
      // A new process looks anew: here another PATH does it.
      process.env.PATH = `${folder}:${path}:/`;
      const { ran, files } = await w.build('//:x');
      expect(ran).toEqual({ '//:x': 'program banksman-test-tool has changed' });
      expect(await text(files[0]?.absolute)).toBe('two\n');
    } finally {
      process.env.PATH = path;
      await rm(folder, { recursive: true });
    }
  });

  it('does not let an action change its source, and finds writes to outputs of others', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "dep", outs = ["dep"], content = "good")
build_rule(name = "source", srcs = ["s"], outs = ["o1"], cmd = "echo changed >> s; cp s $OUT")
build_rule(name = "output", srcs = [":dep"], outs = ["o2"], cmd = "chmod u+w dep; echo BAD! > dep; cp dep $OUT")
build_rule(name = "reader", srcs = [":dep"], outs = ["o3"], cmd = "cp dep $OUT")
`,
      s: 'source\n',
    });
    await w.build('//:source');
    expect(await text(join(w.root, 's'))).toBe('source\n');
    const fault = await faultOf(w.build('//:output'));
    expect([fault.code, fault.message]).toEqual([
      'build/action-failed',
      'the action of //:output wrote to its inputs: dep',
    ]);
    expect(await text((await w.build('//:reader')).files[0]?.absolute)).toBe('good');
    expect(await text((await w.build('//:dep')).files[0]?.absolute)).toBe('good');
  });

  it('leaves no scratch folder behind', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "good", outs = ["o"], cmd = "mkdir d; echo > d/f; chmod a-w d; echo > $OUT")
build_rule(name = "bad", outs = ["p"], cmd = "exit 1")
`,
    });
    await w.build('//:good');
    await faultOf(w.build('//:bad'));
    expect(await readdir(join(w.cache, 'scratch'))).toEqual([]);
  });
});

describe('the cache', () => {
  const one = { BUILD: 'build_rule(name = "x", outs = ["o"], cmd = "echo content > $OUT")' };

  async function blobs(w: TestWorkspace): Promise<string[]> {
    const names = await readdir(join(w.cache, 'blobs'), { recursive: true });
    return names.filter((name) => /[0-9a-f]{64}x?$/.test(name)).map((name) => join(w.cache, 'blobs', name));
  }

  it('takes a blob that was written to, cut short or removed as not there', async () => {
    const w = await workspace(one);
    const damages: ((path: string) => Promise<void>)[] = [
      (path) => writeFile(path, 'CONTENT\n'),
      async (path) => {
        await writeFile(path, 'CONTENT\n');
        await utimes(path, new Date(), new Date('2000-01-01T00:00:00Z'));
      },
      (path) => writeFile(path, ''),
      (path) => chmod(path, 0o755),
      (path) => rm(path),
    ];
    await w.build('//:x');
    for (const damage of damages) {
      const [blob = ''] = await blobs(w);
      await damage(blob);
      const { ran, files } = await w.build('//:x');
      expect(ran).toEqual({ '//:x': 'its result is not in the cache any more' });
      expect(await text(files[0]?.absolute)).toBe('content\n');
    }
  });

  it('takes a record that is not whole as not there', async () => {
    const w = await workspace(one);
    for (const content of ['', '{', '{"format":1,"outputs":[{}],"seconds":1}', '{"format":99}', 'null']) {
      await w.build('//:x');
      const names = await readdir(join(w.cache, 'actions'), { recursive: true });
      const record = names.find((name) => name.endsWith('.json')) ?? '';
      await writeFile(join(w.cache, 'actions', record), content);
      expect(Object.keys((await w.build('//:x')).ran)).toEqual(['//:x']);
    }
  });

  it('puts a removed or replaced output back without running anything', async () => {
    const w = await workspace(one);
    const path = (await w.build('//:x')).files[0]!.absolute;
    await rm(path);
    expect((await w.build('//:x')).ran).toEqual({});
    expect(await text(path)).toBe('content\n');
    await rm(path);
    await writeFile(path, 'mine');
    expect((await w.build('//:x')).ran).toEqual({});
    expect(await text(path)).toBe('content\n');
  });

  it('serves two builders at once', async () => {
    const w = await workspace({
      BUILD: `[build_rule(name = f"x{i}", outs = [f"o{i}"], cmd = "echo %d > $OUT" % (i % 5)) for i in range(40)]`,
    });
    const labels = [...(await w.graph()).targets.keys()];
    const results = await Promise.all([0, 1, 2].map(async () => (await w.builder()).build(labels)));
    for (const result of results) {
      for (const [label, target] of result.targets) {
        expect(await text(target.outputs[0]?.absolute)).toBe(`${Number(label.slice(4)) % 5}\n`);
      }
    }
    // Each was made once: whoever came second has waited for it.
    const ran = results.flatMap((result) => [...result.targets.values()].filter(({ how }) => how === 'ran'));
    expect(ran.map(({ label }) => label).sort()).toEqual([...labels].sort());
    expect(await readdir(join(w.cache, 'making'))).toEqual([]);
  });

  it('does not wait for who has died, and makes what another could not', async () => {
    const w = await workspace({
      BUILD:
        'build_rule(name = "x", outs = ["o"], cmd = "exit 1")\nbuild_rule(name = "y", outs = ["p"], cmd = "echo y > $OUT")\n',
    });
    const failing = await Promise.allSettled([0, 1].map(async () => (await w.builder()).build(['//:x'])));
    expect(failing.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    // A process with this number there is not, or it began at another time.
    await mkdir(join(w.cache, 'making'), { recursive: true });
    await writeFile(join(w.cache, 'making', 'ab'.repeat(32)), '4194303 1');
    expect((await w.build('//:y')).ran).toEqual({ '//:y': expect.anything() });
    expect(await readdir(join(w.cache, 'making'))).toEqual([]);
  });

  it('shrinks to its limit, what was used longest ago first', async () => {
    const rule = (name: string) =>
      `build_rule(name = "${name}", outs = ["${name}"], cmd = "head -c 100000 /dev/zero | tr '\\\\0' ${name} > $OUT")\n`;
    const w = await workspace({ BUILD: rule('a') + rule('b') + rule('c') });
    await w.build('//:a');
    await w.build('//:b');
    const old = new Date(Date.now() - 5 * 3_600_000);
    const all = await readdir(w.cache, { recursive: true, withFileTypes: true });
    for (const entry of all) {
      if (!entry.isFile() || !/actions|blobs/.test(entry.parentPath)) continue;
      const path = join(entry.parentPath, entry.name);
      await utimes(path, old, (await stat(path)).mtime);
    }
    await w.build('//:a');
    await w.build('//:c', { cacheLimit: 250_000 });
    expect((await w.build('//:a')).ran).toEqual({});
    expect(Object.keys((await w.build('//:b')).ran)).toEqual(['//:b']);
  });
});

describe('interruption', () => {
  it('stops children at once and leaves a good cache', async () => {
    // Hours, and a number that no other run of this test has.
    const seconds = 10_000 + process.pid;
    const w = await workspace({
      BUILD: `
build_rule(name = "quick", outs = ["q"], cmd = "echo q > $OUT")
build_rule(name = "slow", srcs = [":quick"], outs = ["s"], cmd = "sleep ${seconds}; echo > $OUT")
`,
    });
    const stop = new AbortController();
    const building = faultOf((await w.builder()).build(['//:slow'], { signal: stop.signal }));
    // It runs: however long the machine takes to get there.
    while ((await processesWith(`sleep\u0000${seconds}`)).length === 0) await sleep(20);
    stop.abort(new Error('interrupted'));
    expect((await building).message).toBe('interrupted');
    expect(await processesWith(`sleep\u0000${seconds}`)).toEqual([]);
    expect((await w.build('//:quick')).ran).toEqual({});
    expect(await readdir(join(w.cache, 'scratch'))).toEqual([]);
  });
});
