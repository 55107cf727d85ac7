import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { formatTarget, type Label } from '../graph/index.ts';
import type { BuildFault } from './fault.ts';
import { type Built, makeWorkspace, type TestWorkspace } from './testing/workspace.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanups.splice(0)) await each();
});

async function workspace(files: Readonly<Record<string, string>>): Promise<TestWorkspace> {
  const made = await makeWorkspace(files);
  cleanups.push(() => made.remove());
  return made;
}

/** A folder outside of every workspace. */
async function outside(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-outside-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

async function contents({ files }: Built): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { path, absolute, kind } of files) {
    found[path] = kind === 'folder' ? (await readdir(absolute)).sort().join(' ') : await readFile(absolute, 'utf8');
  }
  return found;
}

async function faultOf(promise: Promise<unknown>): Promise<BuildFault> {
  return promise.then(
    () => {
      throw new Error('it did not fail');
    },
    (error: BuildFault) => error,
  );
}

describe('output_dirs', () => {
  const files = {
    'p/BUILD': `
build_rule(name = "flat", cmd = "mkdir -p _out/sub && echo a > _out/a.txt && echo b > _out/sub/b.txt && echo d > $OUT",
           outs = ["declared"], output_dirs = ["_out"])
build_rule(name = "deep", cmd = "mkdir -p $PKG_DIR/gen/low && echo c > $PKG_DIR/gen/low/c.txt && echo x > $PKG_DIR/gen/x.txt",
           output_dirs = ["gen/**"])
build_rule(name = "user", srcs = [":flat", ":deep"], outs = ["user"], cmd = "find $SRCS -type f | sort > $OUT")
`,
  };

  it('makes what is in a folder outputs of the target, and of the same result from the cache', async () => {
    const w = await workspace(files);
    for (const ran of [1, 0]) {
      const flat = await w.build('//p:flat');
      expect(Object.keys(flat.ran)).toHaveLength(ran);
      expect(await contents(flat)).toEqual({ 'p/declared': 'd\n', 'p/a.txt': 'a\n', 'p/sub': 'b.txt' });
      expect(await contents(await w.build('//p:deep'))).toEqual({ 'p/low/c.txt': 'c\n', 'p/x.txt': 'x\n' });
    }
  });

  it('holds entry points, alone or in a folder', async () => {
    const w = await workspace({
      'p/BUILD': `
build_rule(name = "tools", output_dirs = ["_out"], binary = True, entry_points = {"one": "one", "two": "bin/two"},
           cmd = "mkdir -p _out/bin; for f in _out/one _out/bin/two; do printf '#!/bin/sh\\necho from %s' $f > $f; chmod +x $f; done")
build_rule(name = "user", tools = [":tools|one", ":tools|two"], outs = ["user"], cmd = "for tool in $TOOLS; do $tool; done > $OUT")
`,
    });
    expect((await contents(await w.build('//p:user')))['p/user']).toBe('from _out/one\nfrom _out/bin/two\n');
  });

  it('gives them to dependants', async () => {
    const w = await workspace(files);
    expect((await contents(await w.build('//p:user')))['p/user']).toBe(
      ['p/a.txt', 'p/declared', 'p/low/c.txt', 'p/sub/b.txt', 'p/x.txt', ''].join('\n'),
    );
  });

  it('says what is wrong: no folder, the same file twice, the file of another target', async () => {
    const w = await workspace({
      'p/BUILD': `
build_rule(name = "none", cmd = "true", output_dirs = ["_out"])
build_rule(name = "twice", cmd = "mkdir a b && touch a/x b/x", output_dirs = ["a", "b"])
build_rule(name = "theirs", cmd = "mkdir a && touch a/owned", output_dirs = ["a"])
build_rule(name = "owner", outs = ["owned"], cmd = "touch $OUT")
build_rule(name = "above", cmd = "mkdir -p a/f && touch a/f/x", output_dirs = ["a"])
build_rule(name = "below", cmd = "mkdir -p a/f && touch a/f/y", output_dirs = ["a/**"])
build_rule(name = "both", srcs = [":above", ":below"], outs = ["both"], cmd = "touch $OUT")
`,
    });
    expect(await faultOf(w.build('//p:none'))).toMatchObject({
      code: 'build/missing-output',
      message: 'the action of //p:none did not make the folder _out',
    });
    expect((await faultOf(w.build('//p:twice'))).code).toBe('build/bad-output');
    expect(await faultOf(w.build('//p:theirs'))).toMatchObject({
      code: 'build/output-clash',
      message: '//p:theirs and //p:owner both make p/owned',
    });
    expect((await faultOf(w.build('//p:both'))).message).toMatch(/ both make p\/f as a folder for p\/f\/y$/);
  });
});

it('puts optional_outs in place, cached too, and shows them to no dependant', async () => {
  const w = await workspace({
    'p/BUILD': `
build_rule(name = "x", srcs = ["in.map"], outs = ["x.js"], optional_outs = ["*.map", "doc"],
           cmd = "echo js > $OUT; echo map > $OUT.map; mkdir doc; echo page > doc/index.html")
build_rule(name = "user", srcs = [":x"], outs = ["user"], cmd = "ls -A p > $OUT")
`,
    'p/in.map': '',
  });
  for (const _ of ['ran', 'cached']) {
    expect(await contents(await w.build('//p:x'))).toEqual({ 'p/x.js': 'js\n' });
    const folder = join(w.root, 'banksman-out/gen/p');
    expect(await readFile(join(folder, 'x.js.map'), 'utf8')).toBe('map\n');
    expect(await readdir(join(folder, 'doc'))).toEqual(['index.html']);
    expect(await readdir(folder)).not.toContain('in.map');
    await rm(folder, { recursive: true });
  }
  expect((await contents(await w.build('//p:user')))['p/user']).toBe('x.js\n');
});

it('keeps test_outputs beside the results of a test, passed, cached or failed', async () => {
  const w = await workspace({
    'p/BUILD': `
build_rule(name = "t", test = True, no_test_output = True, data = ["verdict"], test_outputs = ["shot.txt", "missing"],
           test_cmd = "echo picture of $(cat p/verdict) > shot.txt; test $(cat p/verdict) = good")
`,
    'p/verdict': 'good',
  });
  const file = join(w.root, 'banksman-out/test/p/shot.txt');
  const run = async () => (await (await w.builder()).test(['//p:t'])).tests.get('//p:t');
  expect(await run()).toMatchObject({ status: 'passed', cached: false, files: [file] });
  expect(await readFile(file, 'utf8')).toBe('picture of good\n');
  await rm(file);
  expect(await run()).toMatchObject({ status: 'passed', cached: true, files: [file] });
  expect(await readFile(file, 'utf8')).toBe('picture of good\n');
  await w.write({ 'p/verdict': 'bad' });
  expect(await run()).toMatchObject({ status: 'failed', files: [file] });
  expect(await readFile(file, 'utf8')).toBe('picture of bad\n');
});

it('takes system_srcs from the system, with their content in the key', async () => {
  const folder = await outside({ 'header.h': 'one\n' });
  const header = join(folder, 'header.h');
  const w = await workspace({
    BUILD: `
build_rule(name = "x", srcs = ["a"], system_srcs = ["${header}"], outs = ["x"], cmd = "echo $SRCS > $OUT; cat $SRCS >> $OUT")
build_rule(name = "gone", system_srcs = ["${folder}/none"], outs = ["gone"], cmd = "touch $OUT")
`,
    a: 'source\n',
  });
  expect(await contents(await w.build('//:x'))).toEqual({ x: `a ${header}\nsource\none\n` });
  expect((await w.build('//:x')).ran).toEqual({});
  await writeFile(header, 'two\n');
  expect((await w.build('//:x')).ran).toEqual({ '//:x': `file of the system ${header} has changed` });
  const target = (await w.graph()).targets.get('//:x')!;
  expect(formatTarget(target)).toContain(`srcs = ["a"],`);
  expect(formatTarget(target)).toContain(`system_srcs = ["${header}"],`);
  expect(await faultOf(w.build('//:gone'))).toMatchObject({
    code: 'build/missing-system-file',
    message: `${folder}/none, which //:gone takes from the system, does not exist`,
  });
});

it('writes names of sources into files with src_list_files, in place of variables', async () => {
  const w = await workspace({
    'p/BUILD': `
build_rule(name = "x", srcs = {"main": ["a"], "rest": ["b", "c"]}, outs = ["x"], src_list_files = True,
           cmd = "tail -n 99 _plz/srcs _plz/named_srcs/main _plz/named_srcs/rest > $OUT; echo \\"[\${SRCS-unset}]\\" >> $OUT")
build_rule(name = "one", srcs = ["a"], outs = ["one"], src_list_files = True, cmd = "cat _plz/src > $OUT")
`,
    'p/a': '',
    'p/b': '',
    'p/c': '',
  });
  expect((await contents(await w.build('//p:x')))['p/x']).toBe(
    '==> _plz/srcs <==\np/a\np/b\np/c\n==> _plz/named_srcs/main <==\np/a\n==> _plz/named_srcs/rest <==\np/b\np/c[unset]\n',
  );
  expect(await contents(await w.build('//p:one'))).toEqual({ 'p/one': 'p/a' });
});

describe('secrets', () => {
  const token = 'tok-0123456789abcdef';

  async function withSecret(more = '') {
    const folder = await outside({
      token: `${token}\n`,
      'settings.env': `# for the tests\nPASSWORD="hunter2-and-more"\n`,
    });
    const rules = `
build_rule(name = "sign", outs = ["signature"], cmd = "sha256sum < $SECRETS_KEY > $OUT; echo signed with $(cat $SECRETS_KEY)",
           secrets = {"key": ["${folder}/token"], "rest": ["${folder}/settings.env"]})
build_rule(name = "fails", outs = ["x"], cmd = "cat $SECRETS; exit 1", secrets = ["${folder}/token", "${folder}/settings.env"])
build_rule(name = "leaks", outs = ["copy"], cmd = "mkdir $OUT; cp $SECRETS $OUT/k", secrets = ["${folder}/token"])
build_rule(name = "other", outs = ["other"], cmd = "test ! -e ${folder} && touch $OUT")
build_rule(name = "t", test = True, no_test_output = True, outs = ["t"], cmd = "touch $OUT", secrets = ["${folder}/token"],
           test_cmd = "test ! -e ${folder}/token && test -z \\"\${SECRETS-}\\"")
${more}`;
    return { folder, w: await workspace({ BUILD: rules }) };
  }

  /** Every file below a folder that holds a text. */
  async function holding(folder: string, text: string): Promise<string[]> {
    const found: string[] = [];
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && (await readFile(path)).includes(text)) found.push(path);
    }
    return found;
  }

  it('are read by the action alone; their content is in no key, cache, log or hash', async () => {
    const { folder, w } = await withSecret();
    const first = await contents(await w.build('//:sign'));
    expect(first.signature).toMatch(/^[0-9a-f]{64} /);
    await w.build('//:other');
    expect((await (await w.builder()).test(['//:t'])).tests.get('//:t')?.status).toBe('passed');
    expect(await readFile(join(w.root, 'banksman-out/log/sign.log'), 'utf8')).toBe('signed with [secret]\n');
    expect(await holding(w.cache, token)).toEqual([]);
    expect(await holding(join(w.root, 'banksman-out'), token)).toEqual([]);
    // Another secret, another machine without one: the result is the same.
    await writeFile(join(folder, 'token'), 'another secret');
    expect((await w.build('//:sign')).ran).toEqual({});
    await rm(join(folder, 'token'));
    expect((await w.build('//:sign')).ran).toEqual({});
    expect(formatTarget((await w.graph()).targets.get('//:sign')!)).toContain(`"key": ["${folder}/token"]`);
  });

  it('are in no error, not even part of a file of settings', async () => {
    const { w } = await withSecret();
    const fault = await faultOf(w.build('//:fails'));
    expect(fault.code).toBe('build/action-failed');
    expect(fault.notes.join()).toContain('[secret]');
    expect(JSON.stringify([fault.message, fault.notes])).not.toMatch(/tok-0123|hunter2/);
  });

  it('may be in no output', async () => {
    const { w } = await withSecret();
    expect(await faultOf(w.build('//:leaks'))).toMatchObject({
      code: 'build/secret-in-output',
      message: 'the output copy of //:leaks holds a secret',
      notes: ['it is in copy/k'],
    });
    expect(await holding(w.cache, token)).toEqual([]);
  });

  it('are found in an output however large it is, also across pieces', async () => {
    const { folder, w } = await withSecret();
    await w.write({
      BUILD: `build_rule(name = "x", outs = ["x"], secrets = ["${folder}/token"],
    cmd = "head -c 1048570 /dev/zero > $OUT; cat $SECRETS >> $OUT; head -c 3000000 /dev/zero >> $OUT")`,
    });
    expect((await faultOf(w.build('//:x'))).code).toBe('build/secret-in-output');
  });

  it('of the home folder are at the same path on every machine', async () => {
    const { folder, w } = await withSecret();
    const home = process.env.HOME;
    process.env.HOME = folder;
    try {
      await w.write({
        BUILD: `build_rule(name = "x", outs = ["x"], secrets = ["~/token"], system_srcs = ["~/settings.env"], tools = ["~/settings.env"],
    cmd = "echo $SECRETS $SRCS $TOOLS > $OUT; wc -c < $SECRETS >> $OUT; head -n 1 $SRCS >> $OUT")`,
      });
      const { x } = await contents(await w.build('//:x'));
      const paths = ['token', 'settings.env', 'settings.env'].map((name) => `/home/build/${name}`);
      expect(x).toBe(`${paths.join(' ')}\n21\n# for the tests\n`);
    } finally {
      process.env.HOME = home;
    }
  });

  it('are missed with a clear word', async () => {
    const { folder, w } = await withSecret();
    await rm(join(folder, 'token'));
    expect(await faultOf(w.build('//:sign'))).toMatchObject({
      code: 'build/missing-secret',
      message: `${folder}/token, a secret that //:sign needs, is not there`,
    });
  });
});

it('ends commands at their first error, or goes on where exit_on_error says so', async () => {
  const w = await workspace({
    BUILD: `
build_rule(name = "stops", outs = ["a"], cmd = "false; touch $OUT")
build_rule(name = "goes_on", outs = ["b"], cmd = "false; touch $OUT", exit_on_error = False)
build_rule(name = "test", test = True, no_test_output = True, test_cmd = "false; true")
build_rule(name = "strict", test = True, no_test_output = True, test_cmd = "false; true", exit_on_error = True)
`,
  });
  expect((await faultOf(w.build('//:stops'))).code).toBe('build/action-failed');
  expect(await contents(await w.build('//:goes_on'))).toEqual({ b: '' });
  const { tests } = await (await w.builder()).test(['//:test', '//:strict']);
  expect([...tests.values()].map(({ status }) => status)).toEqual(['passed', 'failed']);
});

it('shows how far an action says it is', async () => {
  const updates: string[] = [];
  const w = await workspace({
    BUILD: `build_rule(name = "x", outs = ["x"], cmd = "echo '[  7%] a'; sleep 0.1; echo '[ 42%] b' >&2; touch $OUT", progress = True)`,
  });
  const progress = {
    begin: () => ({ update: (text: string) => updates.push(text), done() {}, fail() {} }),
    say() {},
  };
  await w.build('//:x', { progress });
  expect(updates).toEqual(['7 %', '42 %']);
});

describe('stamp', () => {
  it('tells the action of the commit and of what it depends on', async () => {
    const w = await workspace({
      BUILD: `
build_rule(name = "x", deps = [":y"], outs = ["x"], stamp = True,
           cmd = "cat $STAMP_FILE > $OUT; echo \\"$SCM_REVISION|$SCM_DESCRIBE|$SCM_COMMIT_DATE|$STAMP\\" >> $OUT")
build_rule(name = "y", outs = ["y"], cmd = "touch $OUT", labels = ["team:a"], licences = ["MIT"])
`,
    });
    const label: Label = '//:x';
    const { x } = await contents(await w.build(label));
    // No repository: the commit is not known.
    expect(x).toMatch(/\n\|\|\|[0-9a-f]{64}\n$/);
    expect(JSON.parse(x!.slice(0, x!.lastIndexOf('}') + 1))).toEqual({
      targets: { '//:x': {}, '//:y': { labels: ['team:a'], licences: ['MIT'] } },
    });
    await w.write({
      BUILD: (await readFile(join(w.root, 'BUILD'), 'utf8')).replace('team:a', 'team:b'),
    });
    expect((await w.build(label)).ran).toEqual({ '//:x': 'stamp file has changed' });
  });
});

it('keeps unreadable files of the system apart from missing ones', async () => {
  const folder = await outside({ 'locked.h': 'x' });
  await mkdir(join(folder, 'sub'));
  await chmod(join(folder, 'sub'), 0o755);
  const w = await workspace({
    BUILD: `build_rule(name = "x", system_srcs = ["${folder}/locked.h", "${folder}/sub"], outs = ["x"], cmd = "ls -d $SRCS > $OUT")`,
  });
  expect((await contents(await w.build('//:x'))).x).toBe(`${folder}/locked.h\n${folder}/sub\n`);
});

describe('hashes', () => {
  it.each([
    ['a single file', 'outs = ["x"], cmd = "echo one > $OUT"', (sum: Sum) => sum('one\n')],
    [
      'several',
      'outs = ["a", "b"], cmd = "echo one > a; echo two > b"',
      (sum: Sum) => sum(Buffer.concat([sum('one\n'), sum('two\n')])),
    ],
    [
      'a folder',
      'outs = ["x"], cmd = "mkdir -p $OUT/d; echo one > $OUT/d/a; echo two > $OUT/e; ln -s e $OUT/f"',
      (sum: Sum) => sum(Buffer.concat([Buffer.from('one\ntwo\n'), Buffer.from([2])])),
    ],
  ])("lock outputs by Please's sums: %s", async (_, rule, wanted) => {
    for (const algorithm of ['sha1', 'sha256']) {
      const hash = wanted((data) => createHash(algorithm).update(data).digest()).toString('hex');
      for (const written of [hash, `${algorithm}: ${hash.toUpperCase()}`]) {
        const w = await workspace({ BUILD: `build_rule(name = "x", ${rule}, hashes = ["${written}"])` });
        await w.build('//:x');
        await w.write({ BUILD: `build_rule(name = "x", ${rule}, hashes = ["${'0'.repeat(hash.length)}"])` });
        const fault = await faultOf(w.build('//:x'));
        expect(fault.code).toBe('build/hash-mismatch');
        expect(fault.notes.join()).toContain(hash);
      }
    }
  });

  // What Please 17.31 gave for these outputs, with each of its hashcheckers.
  it.each([
    [
      'blake3',
      'e0e63aa4c8e1ed796cb104d8a074e553c99fff18d140e886667013ef2780ae23',
      '795cf827dd1ce11203a4c6b567f06f69c82ec874b2160839ed16e3d8bdcffcd7',
      '9c29cf10f7609ca32f87b97decca75105ea4cc4608212fd0b90204fdee30e9fc',
    ],
    ['crc32', 'f817a89f', '533f6534', '4532a2c9'],
    ['crc64', '6142dd8c00000000', '965fff88b112c256', 'ec24c08b4f495a5c'],
    ['xxhash', '22c8b2fe096816df', '1ae5264239a1198e', 'e8f80ee5a415c1f8'],
  ])('lock outputs by %s, where .plzconfig lets it count', async (algorithm, single, several, folder) => {
    const w = await workspace({ '.plzconfig': `[build]\nhashcheckers = ${algorithm}\n` });
    for (const [rule, sum] of [
      ['outs = ["x"], cmd = "echo one > $OUT"', single],
      ['outs = ["a", "b"], cmd = "echo one > a; echo two > b"', several],
      ['outs = ["y"], cmd = "mkdir -p $OUT/d; seq 100 > $OUT/d/a; echo two > $OUT/e"', folder],
    ] as const) {
      await w.write({ BUILD: `build_rule(name = "x", ${rule}, hashes = ["${algorithm}: ${sum}"])` });
      await w.build('//:x');
      const other = sum.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
      await w.write({ BUILD: `build_rule(name = "x", ${rule}, hashes = ["${other}"])` });
      expect(await faultOf(w.build('//:x'))).toMatchObject({ code: 'build/hash-mismatch' });
    }
  });
});

type Sum = (data: string | Buffer) => Buffer;

it('takes programs by their absolute paths, with their content in the key', async () => {
  const folder = await outside({ say: '#!/bin/sh\necho one\n' });
  const program = join(folder, 'say');
  await chmod(program, 0o755);
  const w = await workspace({
    BUILD: `
build_rule(name = "x", tools = {"say": ["${program}"]}, outs = ["x"], cmd = "$TOOLS_SAY > $OUT; echo $TOOL >> $OUT")
build_rule(name = "t", test = True, no_test_output = True, test_tools = ["${program}"], test_cmd = "$TOOL | grep -q one")
`,
  });
  expect(await contents(await w.build('//:x'))).toEqual({ x: `one\n${program}\n` });
  const test = async () => (await (await w.builder()).test(['//:t'])).tests.get('//:t');
  expect(await test()).toMatchObject({ status: 'passed', cached: false });
  await writeFile(program, '#!/bin/sh\necho two\n');
  expect((await w.build('//:x')).ran).toEqual({ '//:x': `file of the system ${program} has changed` });
  expect(await test()).toMatchObject({ status: 'failed' });
});

it("gives Please's environment, and expands variables in env", async () => {
  const w = await workspace({
    'p/BUILD': `
build_rule(name = "y", outs = ["y"], env = {"A": "$PKG/\${NAME}", "B": "$NONE and $$"},
           cmd = "{ echo $PLZ_ENV $PYTHONHASHSEED $XOS $A; echo \\"$B\\"; } > $OUT")
build_rule(name = "t", test = True, no_test_output = True, env = {"A": "$TEST_DIR/a"},
           test_cmd = "test $A = $PWD/a && test $GTEST_OUTPUT = xml:$RESULTS_FILE")
`,
  });
  expect(await contents(await w.build('//p:y'))).toEqual({ 'p/y': '1 42 linux p/y\n$NONE and $$\n' });
  const { tests } = await (await w.builder()).test(['//p:t']);
  expect(tests.get('//p:t')?.status).toBe('passed');
});

it('puts paths into texts', async () => {
  const w = await workspace({
    'p/BUILD': `
build_rule(name = "x", content = "see $(location :y) and \\\\$(location :y)", outs = ["x"], deps = [":y"])
build_rule(name = "y", outs = ["y.txt"], cmd = "touch $OUT")
build_rule(name = "z", content = "see $(location :y)", outs = ["z"])
`,
  });
  expect(await contents(await w.build('//p:x'))).toEqual({ 'p/x': 'see p/y.txt and $(location :y)' });
  expect(await faultOf(w.build('//p:z'))).toMatchObject({
    code: 'build/undeclared-input',
    message: 'the content of //p:z uses $(location :y), but //p:y is not among its inputs',
  });
});

it('holds targets against the licences that .plzconfig accepts', async () => {
  const w = await workspace({
    '.plzconfig': '[licences]\naccept = MIT\naccept = Apache-2.0\nreject = AGPL-3.0\n',
    BUILD: `
build_rule(name = "good", outs = ["a"], cmd = "touch $OUT", licences = ["GPL-2.0", "mit"])
build_rule(name = "none", outs = ["b"], cmd = "touch $OUT")
build_rule(name = "other", outs = ["c"], cmd = "touch $OUT", licences = ["GPL-2.0"])
build_rule(name = "bad", outs = ["d"], cmd = "touch $OUT", licences = ["MIT", "agpl-3.0"])
`,
  });
  for (const label of ['//:good', '//:none'] as Label[]) await w.build(label);
  expect(await faultOf(w.build('//:other'))).toMatchObject({
    code: 'build/licence-refused',
    message: '//:other is licensed under GPL-2.0, none of which this workspace accepts',
  });
  expect((await faultOf(w.build('//:bad'))).message).toBe(
    '//:bad is licensed under agpl-3.0, which this workspace rejects',
  );
});

it('keeps internal_deps from dependants that want all that is reached', async () => {
  const w = await workspace({
    BUILD: `
build_rule(name = "lib", deps = [":plain"], internal_deps = [":inner"], outs = ["lib"], cmd = "list=$(ls); echo $list > $OUT")
build_rule(name = "plain", outs = ["plain"], cmd = "touch $OUT")
build_rule(name = "inner", outs = ["inner"], cmd = "touch $OUT")
build_rule(name = "every", deps = [":lib"], needs_transitive_deps = True, outs = ["x"], cmd = "list=$(ls); echo $list > $OUT")
`,
  });
  expect(await contents(await w.build('//:lib'))).toEqual({ lib: 'inner plain\n' });
  expect(await contents(await w.build('//:every'))).toEqual({ x: 'lib plain\n' });
  const printed = formatTarget((await w.graph()).targets.get('//:lib')!);
  expect(printed).toContain('    deps = ["//:plain"],\n    internal_deps = ["//:inner"],\n');
});
