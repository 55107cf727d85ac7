import { afterEach, describe, expect, it } from 'vitest';
import type { Label } from '../graph/index.ts';
import type { BuildFault } from './fault.ts';
import { makeWorkspace, type TestWorkspace } from './testing/workspace.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanups.splice(0)) await each();
});

const files = {
  'o/BUILD': `
build_rule(name = "two", outs = ["z.txt", "a.txt"], cmd = "touch $OUTS", visibility = ["PUBLIC"])
build_rule(name = "deep", outs = ["sub/d.txt"], cmd = "touch $OUT", binary = True, visibility = ["PUBLIC"])
build_rule(name = "named", outs = {"hdr": ["y.h", "b.h"], "lib": ["l.a"]}, cmd = "touch $OUTS", visibility = ["PUBLIC"])
build_rule(name = "tool", outs = ["tool.sh", "more.sh"], cmd = "touch $OUTS", binary = True, entry_points = {"ep": "tool.sh"},
           visibility = ["PUBLIC"])
build_rule(name = "one", outs = ["one.sh"], cmd = "touch $OUT", binary = True, visibility = ["PUBLIC"])
build_rule(name = "prov", outs = ["prov.txt"], cmd = "touch $OUT", provides = {"go": [":two"]}, visibility = ["PUBLIC"])
`,
  'p/x.c': '',
  'p/y.c': '',
  'p/x.h': '',
  'p/e.txt': '',
  BUILD:
    'build_rule(name = "top", srcs = ["top.txt"], outs = ["top.txt"], cmd = "echo $OUT $OUTS $PKG_DIR \'$(dir :top)\' && touch $OUT")\n',
  'top.txt': '',
};

const groups = `
build_rule(name = "fg", srcs = ["x.c", "//o:two", "//o:deep"], _filegroup = True)
build_rule(name = "nfg", srcs = {"c": ["x.c"], "h": ["y.c", "//o:named|hdr", "x.h"]}, _filegroup = True)
`;

/** What a rule's command prints. */
async function printed(w: TestWorkspace, label: Label): Promise<string> {
  const { files: made } = await w.build(label);
  const [, name] = label.split(':');
  const { readFile } = await import('node:fs/promises');
  expect(made.length).toBeGreaterThan(0);
  return (await readFile(`${w.root}/banksman-out/log/${label.slice(2).split(':')[0]}/${name}.log`, 'utf8')).trimEnd();
}

async function workspace(rules: string): Promise<TestWorkspace> {
  const w = await makeWorkspace({ ...files, 'p/BUILD': groups + rules });
  cleanups.push(() => w.remove());
  return w;
}

/** The environment that a command sees. */
async function environment(w: TestWorkspace, label: Label): Promise<Record<string, string>> {
  const lines = (await printed(w, label)).split('\n').filter((line) => /^\w+=/.test(line));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/*
 * What Please 17.31 itself gave for the same rules, where its scratch folder is /tmp/banksman; where it differs, the line says why.
 */
describe('the environment of a command is that of Please', () => {
  it('with groups of sources, outputs and tools', async () => {
    const w = await workspace(`
build_rule(name = "env", srcs = {"a": ["e.txt"], "other": ["//o:two"]}, outs = {"main": ["q", "b"], "x": ["c"]},
           tools = {"t": ["//o:one"], "sh": ["bash"]}, deps = ["//o:deep"], env = {"MINE": "$NAME-$NOTHING-$PKG"},
           cmd = "env; : $CONFIG; touch $OUTS")
`);
    const env = await environment(w, '//p:env');
    expect(env).toMatchObject({
      ARCH: process.arch === 'x64' ? 'amd64' : process.arch,
      BUILD_CONFIG: 'opt',
      CONFIG: 'opt',
      HOME: '/tmp/banksman',
      MINE: 'env-$NOTHING-p',
      NAME: 'env',
      OS: 'linux',
      OUTS: 'b c q',
      OUTS_MAIN: 'b q',
      OUTS_X: 'c',
      PKG: 'p',
      PKG_DIR: 'p',
      PLZ_ENV: '1',
      PWD: '/tmp/banksman',
      PYTHONHASHSEED: '42',
      SRCS: 'p/e.txt o/a.txt o/z.txt',
      SRCS_A: 'p/e.txt',
      SRCS_OTHER: 'o/a.txt o/z.txt',
      TMP_DIR: '/tmp/banksman',
      TOOLS: '/usr/bin/bash /tmp/banksman/.tools/o/one.sh',
      TOOLS_SH: '/usr/bin/bash',
      TOOLS_T: '/tmp/banksman/.tools/o/one.sh',
      XARCH: process.arch === 'x64' ? 'x86_64' : process.arch,
      XOS: 'linux',
    });
    expect(env.RULE_HASH).toMatch(/^[0-9a-f]{64}$/);
    for (const absent of ['OUT', 'SRC', 'TOOL', 'STAMP', 'SECRETS']) expect(env).not.toHaveProperty(absent);
  });

  it('with one of each', async () => {
    const w = await workspace(`
build_rule(name = "one", srcs = ["e.txt"], outs = ["deep/e.txt"], tools = ["//o:one"], cmd = "env && touch $OUT")
`);
    expect(await environment(w, '//p:one')).toMatchObject({
      OUT: '/tmp/banksman/deep/e.txt',
      OUTS: 'deep/e.txt',
      SRC: 'p/e.txt',
      TOOL: '/tmp/banksman/.tools/o/one.sh',
    });
  });

  it('with groups of files, whose files lie in their own package', async () => {
    const w = await workspace(`
build_rule(name = "uses", srcs = {"one": [":nfg|h"], "two": [":fg"]}, deps = [":nfg"], outs = ["uses"],
           cmd = "echo \\"$SRCS / $SRCS_ONE / $SRCS_TWO / $(dir :fg) / $(locations :nfg|c)\\" && ls $SRCS > $OUT")
`);
    expect(await printed(w, '//p:uses')).toBe(
      'p/y.c p/b.h p/y.h p/x.h p/a.txt p/sub/d.txt p/x.c p/z.txt / p/y.c p/b.h p/y.h p/x.h / p/a.txt p/sub/d.txt p/x.c p/z.txt / p / p/x.c',
    );
  });

  it('with what a source provides for what the target requires', async () => {
    const w = await workspace(`
build_rule(name = "srcs", requires = ["go"], srcs = ["//o:prov"], outs = ["srcs"], cmd = "echo $SRCS '$(locations //o:prov)' && touch $OUT")
build_rule(name = "deps", requires = ["go"], deps = ["//o:prov"], outs = ["deps"], cmd = "ls o; echo '$(locations //o:prov)'; touch $OUT")
build_rule(name = "group", requires = ["go"], srcs = ["//o:prov"], _filegroup = True)
`);
    expect(await printed(w, '//p:srcs')).toBe('o/a.txt o/z.txt o/a.txt o/z.txt');
    expect(await printed(w, '//p:deps')).toBe('a.txt\nz.txt\no/a.txt o/z.txt');
    expect((await w.build('//p:group')).files.map(({ path }) => path)).toEqual(['p/a.txt', 'p/z.txt']);
  });

  it('with an output named as a source of the root, or as the package', async () => {
    const w = await workspace(`build_rule(name = "p", outs = ["p"], cmd = "echo $OUT && touch $OUT")`);
    expect(await printed(w, '//p:p')).toBe('/tmp/banksman/p.out');
    expect(await printed(w, '//:top')).toBe('/tmp/banksman/top.txt.out top.txt.out . .');
    expect((await w.build('//:top')).files.map(({ path }) => path)).toEqual(['top.txt']);
  });

  it('with an output named as a source of its package', async () => {
    const w = await workspace(
      `build_rule(name = "s", srcs = ["e.txt"], outs = ["e.txt"], cmd = "cp $SRC $OUT && echo more >> $OUT")`,
    );
    expect((await w.build('//p:s')).files.map(({ path }) => path)).toEqual(['p/e.txt']);
  });
});

describe('what stands in a command is put in as Please does', () => {
  const table: readonly (readonly [written: string, becomes: string])[] = [
    ['$(location //o:one)', '/tmp/banksman/.tools/o/one.sh'],
    ['$(exe //o:one)', '/tmp/banksman/.tools/o/one.sh'],
    ['$(locations //o:tool)', '/tmp/banksman/.tools/o/more.sh /tmp/banksman/.tools/o/tool.sh'],
    ['$(location //o:tool|ep)', '/tmp/banksman/.tools/o/tool.sh'],
    ['$(dir //o:one)', '/tmp/banksman/.tools/o'],
    ['$(exe bash)', '/usr/bin/bash'],
    ['$(location //o:deep)', 'o/sub/d.txt'],
    ['$(exe //o:deep)', 'o/sub/d.txt'],
    ['$(dir //o:deep)', 'o'],
    ['$(out_location //o:deep)', 'banksman-out/bin/o/sub/d.txt'],
    ['$(out_exe //o:deep)', 'banksman-out/bin/o/sub/d.txt'],
    ['$(out_dir //o:deep)', 'banksman-out/bin/o'],
    ['$(locations //o:two)', 'o/a.txt o/z.txt'],
    ['$(out_locations //o:two)', 'banksman-out/gen/o/a.txt banksman-out/gen/o/z.txt'],
    ['$(out_dir //o:two)', 'banksman-out/gen/o'],
    ['$(locations //o:named|hdr)', 'o/b.h o/y.h'],
    ['$(location :s)', 'p/s.txt'],
    ['$(dir :s)', 'p'],
    ['$(out_location :s)', 'banksman-out/gen/p/s.txt'],
    ['$(location e.txt)', 'p/e.txt'],
    ['$(location sub/none.txt)', 'p/sub/none.txt'],
    ['$(location /etc/hosts)', '/etc/hosts'],
    // Please would leave the backslash and replace the rest.
    ['\\$(location :s)', '$(location :s)'],
  ];
  it('with labels, files and programs', async () => {
    const lines = table.map(([written]) => `echo '${written}'`).join('\n');
    const w = await workspace(`
build_rule(name = "s", srcs = ["e.txt", "//o:deep", "//o:two", "//o:named|hdr"], tools = ["//o:one", "//o:tool", "//o:tool|ep", "bash"],
           outs = ["s.txt"], cmd = r"""
${lines}
touch $OUT""")
`);
    expect((await printed(w, '//p:s')).split('\n')).toEqual(table.map(([, becomes]) => becomes));
  });

  it('with a sum of content, which changes with it', async () => {
    const w = await workspace(`
build_rule(name = "h", srcs = ["e.txt", ":two"], outs = ["h"], cmd = "echo $(hash e.txt) $(hash :two) > $OUT; cat $OUT")
build_rule(name = "two", srcs = ["x.c"], outs = ["1", "2"], cmd = "cp $SRC 1; cp $SRC 2")
`);
    const first = (await printed(w, '//p:h')).split(' ');
    expect(first).toHaveLength(2);
    await w.write({ 'p/e.txt': 'other' });
    const second = (await printed(w, '//p:h')).split(' ');
    expect([second[0] === first[0], second[1] === first[1]]).toEqual([false, true]);
    await w.write({ 'p/x.c': 'other' });
    expect((await printed(w, '//p:h')).split(' ')[1]).not.toBe(first[1]);
  });

  it.each([
    ['$(exe //o:two)', 'build/bad-command', '//o:two is no program'],
    ['$(location //o:two)', 'build/bad-command', '//o:two has 2 outputs'],
    ['$(location //o:named)', 'build/undeclared-input', '//o:named is not among its inputs'],
    ['$(hash x.c)', 'build/undeclared-input', 'p/x.c is not among its sources'],
  ])('and refuses %s', async (written, code, says) => {
    const w = await workspace(
      `build_rule(name = "r", srcs = ["//o:two"], outs = ["r"], cmd = "echo ${written} > $OUT")`,
    );
    const error: BuildFault = await w.build('//p:r').then(
      () => {
        throw new Error('it did not fail');
      },
      (fault: BuildFault) => fault,
    );
    expect(error.code).toBe(code);
    expect(error.message).toContain(says);
  });
});

it('gives tests data and test tools by their groups', async () => {
  const w = await workspace(`
build_rule(name = "t", test = True, outs = ["t.sh", "b.sh"], cmd = "touch $OUTS", data = {"d": ["e.txt"], "k": ["//o:two"]},
           test_tools = ["//o:one"], no_test_output = True, test_cmd = "env; ls -R; echo '$(location //o:one)' '$(locations :t)'")
`);
  const { tests } = await (await w.builder()).test(['//p:t']);
  const lines = (tests.get('//p:t')?.output ?? '').trimEnd().split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'DATA=p/e.txt o/a.txt o/z.txt',
      'DATA_D=p/e.txt',
      'DATA_K=o/a.txt o/z.txt',
      'TOOL=/tmp/banksman/.tools/o/one.sh',
      'TEST=/tmp/banksman/p/b.sh',
      'TEST_ARGS=',
      // The base64 of the beginning of the SHA-256 of `//p:t1`.
      '_TEST_ID=SNeTe8QJxY2vRmCV',
      'TEST_DIR=/tmp/banksman',
      'TMP_DIR=/tmp/banksman',
      'HOME=/tmp/banksman',
      'NAME=t',
      'PKG=p',
    ]),
  );
  expect(lines.at(-1)).toBe('/tmp/banksman/.tools/o/one.sh p/b.sh p/t.sh');
});
