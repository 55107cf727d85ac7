import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { silent } from '../../progress/index.ts';
import { createWorkspace, type Files, faultsOf, testRules } from '../test-workspace.ts';
import type { Label, Target } from '../types.ts';
import { openWorkspace } from '../workspace/workspace.ts';
import { loadGraph, loadTargets, loadUnchecked } from './load.ts';

async function targetsOf(files: Files): Promise<ReadonlyMap<Label, Target>> {
  return (await createWorkspace(files, { git: false }).load()).targets;
}

async function target(build: string, files: Files = {}): Promise<Target> {
  const targets = await targetsOf({ 'p/BUILD': build, ...files });
  return targets.get('//p:x')!;
}

async function faults(files: Files) {
  return faultsOf(() => targetsOf(files));
}

describe('build_rule', () => {
  it('makes a target of every argument', async () => {
    const made = await target(
      `
build_rule(name = "lib", outs = ["lib.a"], cmd = "touch $OUT", provides = {"go": ":go"})
build_rule(name = "go", outs = ["go.a"], cmd = "touch $OUT")
build_rule(
    name = "x",
    srcs = {"main": ["a.txt", ":lib|named"], "other": ["sub/b.txt"]},
    outs = {"bin": ["x"], "doc": ["x.txt"]},
    cmd = {"opt": "make", "dbg": "make debug"},
    deps = [":lib"],
    exported_deps = ["//p:go"],
    runtime_deps = [":go"],
    tools = {"go": ["go"], "lib": [":lib"]},
    data = ["a.txt"],
    visibility = ["PUBLIC", ":all", "//q/..."],
    labels = ["l"],
    requires = ["go"],
    binary = True,
    building_description = "Making...",
    needs_transitive_deps = True,
    output_is_complete = True,
    hashes = ["sha256: ${'ab'.repeat(32)}"],
    env = {"B": "2", "A": "1"},
    pass_env = ["HOME"],
    build_timeout = "1m30s",
    sandbox = False,
)`.replace(':lib|named', ':lib'),
      { 'p/a.txt': '', 'p/sub/b.txt': '' },
    );
    expect(made).toMatchObject({
      label: '//p:x',
      package: 'p',
      name: 'x',
      rule: 'build_rule',
      description: 'Making...',
      srcs: {
        all: [
          { kind: 'file', path: 'p/a.txt' },
          { kind: 'label', label: '//p:lib' },
          { kind: 'file', path: 'p/sub/b.txt' },
        ],
        named: { other: [{ kind: 'file', path: 'p/sub/b.txt' }] },
      },
      tools: { named: { go: [{ kind: 'program', name: 'go' }], lib: [{ kind: 'label', label: '//p:lib' }] } },
      data: {
        all: [
          { kind: 'file', path: 'p/a.txt' },
          { kind: 'label', label: '//p:go' },
        ],
      },
      deps: ['//p:lib'],
      exportedDeps: ['//p:go'],
      outs: ['x', 'x.txt'],
      namedOuts: { bin: ['x'], doc: ['x.txt'] },
      action: { kind: 'shell', command: 'make' },
      env: { A: '1', B: '2' },
      passEnv: ['HOME'],
      labels: ['l', 'go', 'bin'],
      visibility: ['PUBLIC', '//p:all', '//q/...'],
      testOnly: false,
      binary: true,
      needsTransitiveDeps: true,
      outputIsComplete: true,
      requires: ['go'],
      hashes: ['ab'.repeat(32)],
      sandbox: false,
      timeout: 90,
      test: undefined,
    });
    expect(made.place).toMatchObject({ file: 'p/BUILD', line: 4, column: 1 });
    expect(Object.isFrozen(made) && Object.isFrozen(made.srcs.all) && Object.isFrozen(made.deps)).toBe(true);
  });

  it('makes tests, built-in actions, texts and filegroups', async () => {
    const targets = await targetsOf({
      BUILD: `
build_rule(name = "t", test = True, test_cmd = "run", flaky = True, test_timeout = 5, test_tools = ["python3"], no_test_output = True)
build_rule(name = "b", action = "image", config = {"user": "1", "files": {"/a": [1, None, True]}}, outs = ["b.oci"])
build_rule(name = "c", content = "hello", outs = ["hello.txt"])
filegroup(name = "f", srcs = ["banksman.yaml"])
`,
    });
    expect(targets.get('//:t')).toMatchObject({
      testOnly: true,
      test: {
        command: 'run',
        timeout: 5,
        attempts: 3,
        tools: { all: [{ kind: 'program', name: 'python3' }] },
        noOutput: true,
      },
    });
    expect(targets.get('//:b')?.action).toEqual({
      kind: 'builtin',
      name: 'image',
      config: { files: { '/a': [1, null, true] }, user: '1' },
    });
    expect(targets.get('//:c')?.action).toEqual({ kind: 'text', content: 'hello' });
    expect(targets.get('//:f')).toMatchObject({ rule: 'filegroup', action: { kind: 'filegroup' }, outs: [] });
  });

  it('names the rule that the BUILD file called, with its place, however deep it goes', async () => {
    const made = await target('def mine(name):\n    genrule(name = name)\n\nmine(\n    name = "x",\n)\n');
    expect(made).toMatchObject({ rule: 'mine', place: { file: 'p/BUILD', line: 4, column: 1 } });
  });

  it.each<[string, string, string, number, number]>([
    ['genrule(name = "a b")', 'graph/bad-label', '"a b" can\'t be the name of a target', 1, 1],
    ['genrule(name = "all")', 'graph/bad-label', 'it stands for every target', 1, 1],
    [
      'genrule(name = "x")\ngenrule(name = "x")',
      'graph/duplicate-target',
      'two targets of this package are named x',
      2,
      1,
    ],
    ['genrule(\n    name = "x",\n    srcs = ["../y"],\n)', 'graph/bad-target', 'no path inside the package', 3, 13],
    ['genrule(name = "x", srcs = ["/etc/passwd"])', 'graph/bad-target', 'no path inside the package', 1, 29],
    ['genrule(name = "x", outs = ["../y"])', 'graph/bad-target', 'no path inside the package', 1, 29],
    ['genrule(name = "x", deps = ["y"])', 'graph/bad-label', 'deps takes labels of targets, not "y"', 1, 29],
    ['genrule(name = "x", deps = ["//a b"])', 'graph/bad-label', 'is no label', 1, 29],
    ['genrule(name = "x", tools = ["bin/x"])', 'graph/bad-target', 'tools takes labels and names of programs', 1, 30],
    ['genrule(name = "x", srcs = [1])', 'graph/bad-target', 'one element is int', 1, 1],
    ['genrule(name = "x", visibility = ["public"])', 'graph/bad-target', 'visibility has "public"', 1, 35],
    [
      'build_rule(name = "x", cmd = "a", content = "b")',
      'graph/bad-target',
      'cmd and content are given together',
      1,
      1,
    ],
    ['build_rule(name = "x", config = {})', 'graph/bad-target', 'config is given without action', 1, 1],
    ['build_rule(name = "x", build_timeout = "soon")', 'graph/bad-target', 'no length of time', 1, 1],
    ['build_rule(name = "x", hashes = ["123"])', 'graph/bad-target', 'no SHA-256 sum', 1, 34],
    [
      'build_rule(name = "x", post_build = lambda: None)',
      'graph/bad-target',
      'the function post_build takes 0 arguments',
      1,
      1,
    ],
    ['build_rule(name = "x", env = {"A": 1})', 'graph/bad-target', 'env has int for A', 1, 1],
    ['build_rule(name = "x", outs = {"a/b": ["x"]})', 'graph/bad-target', "can't be part of a variable", 1, 32],
    ['genrule(nam = "x")', 'language/argument', 'genrule has no argument nam', 1, 9],
  ])('%j', async (build, code, message, line, column) => {
    const [fault] = await faults({ 'p/BUILD': build });
    expect(fault).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      place: { file: 'p/BUILD', line, column },
    });
  });
});

describe('glob', () => {
  const files: Files = {
    'p/a.go': '',
    'p/a_test.go': '',
    'p/.hidden.go': '',
    'p/sub/b.go': '',
    'p/sub/b_test.go': '',
    'p/other/BUILD': '',
    'p/other/c.go': '',
    'p/link.go': 'link:a.go',
    'p/vendor/deep/d.go': '',
    'p/.config/c.yml': '',
    'p/.config/.c.yml': '',
    'p/#x#': '',
  };
  it.each<[string, string[]]>([
    ['glob(["*.go"])', ['a.go', 'a_test.go']],
    ['glob("*.go", exclude = ["*_test.go"])', ['a.go']],
    ['glob(["**/*.go"], exclude = ["*_test.go", "vendor/**"])', ['a.go', 'sub/b.go']],
    ['glob(["**"], excludes = "**/*_test.go")', ['.config/c.yml', 'a.go', 'sub/b.go', 'vendor/deep/d.go']],
    ['glob(["*.go"], hidden = True, include_symlinks = True)', ['.hidden.go', 'a.go', 'a_test.go', 'link.go']],
    ['glob(["sub/*.go"])', ['sub/b.go', 'sub/b_test.go']],
    ['glob(["*.java"], allow_empty = True)', []],
    ['glob(["sub/*", "a*"])', ['sub/b.go', 'sub/b_test.go', 'a.go', 'a_test.go']],
    ['glob(["**.go"], exclude = ["vendor", "sub/b.go"])', ['a.go', 'a_test.go', 'sub/b_test.go']],
    ['glob(["**/*.yml", "*#"], hidden = False)', ['.config/c.yml']],
  ])('%s', async (call, expected) => {
    const made = await target(`genrule(name = "x", srcs = ${call})`, files);
    expect(made.srcs.all).toEqual(expected.map((path) => ({ kind: 'file', path: `p/${path}` })));
  });

  it('refuses a pattern that fits nothing or leads out of the package', async () => {
    expect(await faults({ 'p/BUILD': 'x = glob(["*.java"])' })).toMatchObject([
      {
        code: 'graph/missing-source',
        place: { line: 1, column: 5 },
        next: expect.stringContaining('allow_empty') as string,
      },
    ]);
    expect(await faults({ 'p/BUILD': 'x = glob(["../*"])' })).toMatchObject([
      { code: 'graph/bad-target', place: { column: 11 } },
    ]);
  });
});

describe('functions of BUILD files', () => {
  const build = (expression: string) => `genrule(name = "x", labels = [str(${expression})])`;
  it.each<[string, string]>([
    ['package_name()', 'p'],
    ['package_name("//a/b:c")', 'a/b'],
    ['canonicalise(":y")', '//p:y'],
    ['canonicalise("//a/b")', '//a/b:b'],
    ['tag("n", "t")', '_n#t'],
    ['tag("_n#t", "u")', '_n#t_u'],
    ['join_path("a", "/b/", "../c")', 'a/c'],
    ['basename("a/b.c") + dirname("a/b.c") + splitext("a/b.c")[1] + split_path("a/b")[1]', 'b.ca.cb'],
    ['CONFIG.NAME', 'test'],
    ['CONFIG.GO.IMPORT_PATH', 'example.com'],
    ['CONFIG.get("NONE", "d")', 'd'],
    ['CONFIG.DEBIAN.SUITE', 'bookworm'],
    ['read_json("data/x.json")["list"][1].a', 'b'],
    ['looks_like_build_label(":x")', 'True'],
  ])('%s', async (expression, expected) => {
    const made = await target(build(expression), {
      'banksman.yaml': 'name: test\nconfig: { go: { import_path: example.com } }\n',
      'p/data/x.json': '{"list": [1, {"a": "b"}], "__proto__": {}}',
    });
    expect(made.labels).toEqual([expected]);
  });

  it('knows the labels of targets above', async () => {
    const made = await target(
      'genrule(name = "a", labels = ["k:1", "k:2", "z"])\ngenrule(name = "x", labels = get_labels("a", "k:"))',
    );
    expect(made.labels).toEqual(['1', '2']);
  });

  it('applies package() to what follows in that file only', async () => {
    const targets = await targetsOf({
      'a/BUILD':
        'package(default_visibility = ["PUBLIC"])\ngenrule(name = "x")\ngenrule(name = "own", visibility = [])',
      'b/BUILD': 'genrule(name = "x")',
    });
    expect(targets.get('//a:x')?.visibility).toEqual(['PUBLIC']);
    expect(targets.get('//a:own')?.visibility).toEqual([]);
    expect(targets.get('//b:x')?.visibility).toEqual([]);
    expect(await faults({ 'p/BUILD': 'package(default_visibilty = [])' })).toMatchObject([
      { next: 'did you mean default_visibility?' },
    ]);
    expect(await faults({ 'p/BUILD': 'genrule(name = "x")\npackage(default_visibility = [])' })).toMatchObject([
      { code: 'language/value' },
    ]);
  });

  it('shows malformed JSON in its own file', async () => {
    const [fault] = await faults({ 'p/BUILD': 'x = read_json("x.json")', 'p/x.json': '{\n  "a": 1,\n  b\n}' });
    expect(fault).toMatchObject({ code: 'graph/bad-data', place: { file: 'p/x.json', line: 3, column: 3 } });
    expect(await faults({ 'p/BUILD': 'x = read_json("x.json")', 'p/x.json': '{"a": 1.5}' })).toMatchObject([
      { code: 'graph/bad-data' },
    ]);
    expect(await faults({ 'p/BUILD': 'x = read_json("none.json")' })).toMatchObject([
      { code: 'graph/missing-source', place: { file: 'p/BUILD', column: 15 } },
    ]);
    expect(await faults({ 'p/BUILD': 'x = read_json("../banksman.yaml")' })).toMatchObject([
      { code: 'graph/bad-target' },
    ]);
  });

  it('tells what BUILD files log, once', async () => {
    const workspace = createWorkspace(
      { BUILD: 'for x in [1, 2]:\n    log.warning("old %s", "way")\nlog.debug("quiet")\n' },
      { git: false },
    );
    const said: string[] = [];
    await loadGraph(await openWorkspace(workspace.root), {
      ruleFiles: testRules,
      progress: { ...silent, say: (line) => said.push(line) },
    });
    expect(said).toEqual(['warning: old way (BUILD:2)']);
  });
});

describe('subinclude', () => {
  const defs =
    'def mine(name):\n    genrule(name = name, labels = [package_name(), _private()])\ndef _private():\n    return "private"\n';
  it.each<[string, Files]>([
    ['subinclude("//defs:x.build_defs")', { 'defs/x.build_defs': defs }],
    [
      'subinclude("//defs:x")',
      {
        'defs/x.build_defs': defs,
        'defs/BUILD': 'filegroup(name = "x", srcs = ["x.build_defs"], visibility = ["PUBLIC"])',
      },
    ],
    [
      'subinclude("//defs:y")',
      {
        'defs/x.build_defs': defs,
        'defs/BUILD':
          'filegroup(name = "x", srcs = ["x.build_defs"])\nfilegroup(name = "y", srcs = [":x"], visibility = ["PUBLIC"])',
      },
    ],
    ['load("//defs:x.build_defs", "mine")', { 'defs/x.build_defs': defs }],
    ['subinclude(":local.build_defs")', { 'p/local.build_defs': defs }],
  ])('%s', async (include, files) => {
    const made = await target(`${include}\nmine(name = "x")`, files);
    expect(made).toMatchObject({ rule: 'mine', labels: ['p', 'private'] });
  });

  it('preloads what banksman.yaml lists', async () => {
    const made = await target('mine(name = "x")', {
      'banksman.yaml': 'name: test\nbuild_defs: [defs/x.build_defs]\n',
      'defs/x.build_defs': defs,
    });
    expect(made.rule).toBe('mine');
  });

  it.each<[string, Files, string, RegExp]>([
    ['a file that is not there', { 'p/BUILD': 'subinclude("//defs:x.build_defs")' }, 'graph/subinclude', /no package/],
    [
      'a target that is built',
      { 'p/BUILD': 'subinclude("//d:x")', 'd/BUILD': 'genrule(name = "x", outs = ["x"])' },
      'graph/subinclude',
      /it is built/,
    ],
    [
      'itself',
      {
        'p/BUILD': 'subinclude("//p:a.build_defs")',
        'p/a.build_defs': 'subinclude("//p:b.build_defs")',
        'p/b.build_defs': 'subinclude("//p:a.build_defs")',
      },
      'graph/cycle',
      /includes itself/,
    ],
    [
      'its own package',
      { 'p/BUILD': 'subinclude("//p:x")\nfilegroup(name = "x", srcs = ["a"])', 'p/a': '' },
      'graph/subinclude',
      /package has an error/,
    ],
    [
      'a name that is not there',
      { 'p/BUILD': 'load("//p:a.build_defs", "fo")', 'p/a.build_defs': 'foo = 1' },
      'language/name',
      /has nothing named fo/,
    ],
    [
      'targets of its own',
      { 'p/BUILD': 'subinclude("//p:a.build_defs")', 'p/a.build_defs': 'genrule(name = "x")' },
      'graph/bad-target',
      /only included/,
    ],
  ])('refuses %s', async (_, files, code, message) => {
    const [fault] = await faults(files);
    expect(fault).toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(fault?.place?.line).toBe(1);
  });
});

describe('many packages', () => {
  it('tells the errors of all of them, in order', async () => {
    const found = await faults({
      'a/BUILD': 'x = [1',
      'b/BUILD': 'genrule(name = "x", deps = ["//a:y", "//c:y"])',
      'c/BUILD': 'genrule(name = "z", srcs = ["none"])\n',
      'd/BUILD': 'fail("no")',
    });
    // What //a would have made is not called missing: //a itself is at fault.
    expect(found.map(({ code, place }) => [code, place?.file])).toEqual([
      ['language/syntax', 'a/BUILD'],
      ['graph/missing-target', 'b/BUILD'],
      ['graph/missing-source', 'c/BUILD'],
      ['language/fail', 'd/BUILD'],
    ]);
  });

  it('reads only what wanted targets reach', async () => {
    const workspace = createWorkspace({
      'a/BUILD': 'genrule(name = "x", deps = ["//b:x"])\ngenrule(name = "unrelated", deps = ["//broken:x"])',
      'b/BUILD': 'genrule(name = "x", srcs = ["//c:x"], visibility = ["PUBLIC"])\ngenrule(name = "y")',
      'c/BUILD': 'genrule(name = "x", visibility = ["PUBLIC"])',
      'broken/BUILD': 'x = [',
    });
    const opened = await openWorkspace(workspace.root);
    const { graph, labels } = await loadTargets(opened, [':x', '//b:all', '//a'.concat(':x')], {
      ruleFiles: testRules,
      from: 'a',
    });
    expect(labels).toEqual(['//a:x', '//b:x', '//b:y']);
    expect([...graph.targets.keys()].sort()).toEqual(['//a:x', '//b:x', '//b:y', '//c:x']);
    const reaching = (...patterns: string[]) => faultsOf(() => loadTargets(opened, patterns, { ruleFiles: testRules }));
    expect(await reaching('//a:unrelated')).toMatchObject([{ code: 'language/syntax' }]);
    expect(await reaching('//broken:x')).toMatchObject([{ code: 'language/syntax' }]);
    expect(await reaching('//a:z', '//bb:x')).toMatchObject([
      { code: 'graph/missing-package', next: 'did you mean //b?' },
      { code: 'graph/missing-target', place: { file: 'a/BUILD' } },
    ]);
    expect(await reaching('//nowhere/...')).toMatchObject([{ code: 'graph/missing-package' }]);
  });

  it('unchecked has targets that lead to nothing, and none of half a workspace', async () => {
    const { root, write } = createWorkspace({ 'a/BUILD': 'genrule(name = "x", deps = [":missing"])' });
    const opened = await openWorkspace(root);
    const unchecked = () => loadUnchecked(opened, { ruleFiles: testRules });
    expect([...(await unchecked()).keys()]).toEqual(['//a:x']);
    write({ 'b/BUILD': 'read_json("x.lock.json")', 'b/x.lock.json': '{"a":' });
    expect(await faultsOf(unchecked)).toMatchObject([
      { code: 'graph/bad-data', place: { file: 'b/x.lock.json' }, next: expect.stringContaining('written anew') },
    ]);
  });

  it('takes names of BUILD files from banksman.yaml, the first one there in each folder', async () => {
    const targets = await targetsOf({
      'banksman.yaml': 'name: test\nbuild_files: [BUILD.bm, BUILD]\n',
      'a/BUILD': 'genrule(name = "old")',
      'a/BUILD.bm': 'genrule(name = "new")',
      'b/BUILD': 'genrule(name = "x")',
    });
    expect([...targets.keys()]).toEqual(['//a:new', '//b:x']);
  });

  it('gives the same graph in whatever order the disk lists files', async () => {
    const files: Files = {
      'a/BUILD': 'genrule(name = "x", srcs = glob(["*"], exclude = ["BUILD"]))',
      'a/2': '',
      'a/10': '',
      'a/B': '',
      'a/a': '',
    };
    const forward = await targetsOf(files);
    const backward = await targetsOf(Object.fromEntries(Object.entries(files).reverse()));
    expect([...backward.values()].map(({ srcs }) => srcs)).toEqual([...forward.values()].map(({ srcs }) => srcs));
  });

  it.each([
    ['out of the workspace', '/etc/passwd'],
    ['to itself', 'BUILD'],
    ['to nothing', 'none'],
    ['to a folder', '.'],
  ])('refuses a BUILD file that is a link %s, and loads the others', async (_, to) => {
    const workspace = createWorkspace({ 'b/BUILD': 'x = (' });
    symlinkSync(to, join(workspace.root, 'BUILD'));
    expect(await faultsOf(() => workspace.load())).toMatchObject([
      { code: 'graph/unreadable', message: expect.stringContaining('a link'), place: { file: 'BUILD' } },
      { code: 'language/syntax' },
    ]);
  });

  it.each(['a b', 'q\'uo"te', 'ü', '(group)', '@scope'])('takes a package in a folder named %j', async (name) => {
    const workspace = createWorkspace({
      BUILD: `filegroup(name = "y", srcs = [${JSON.stringify(`//${name}:x`)}])`,
      [`${name}/BUILD`]: 'filegroup(name = "x", srcs = glob(["*.txt"]), visibility = ["PUBLIC"])',
      [`${name}/in.txt`]: '',
    });
    const { targets } = await workspace.load();
    expect([...targets.keys()]).toContain(`//${name}:x`);
  });

  it.each(['a\nb', 'a:b', '[id]', 'a*', '$(x)', '...'])('refuses a package in a folder named %j', async (name) => {
    const workspace = createWorkspace({ [`${name}/BUILD`]: '' });
    expect(await faultsOf(() => workspace.load())).toMatchObject([
      { code: 'graph/bad-label', place: { file: `${name}/BUILD` } },
    ]);
  });

  it('refuses a BUILD file that is no text', async () => {
    const workspace = createWorkspace({}, { git: false });
    const { writeFileSync } = await import('node:fs');
    writeFileSync(`${workspace.root}/BUILD`, Buffer.from([0xff, 0xfe, 0x41]));
    expect(await faultsOf(() => workspace.load())).toMatchObject([
      { code: 'graph/unreadable', place: { file: 'BUILD' } },
    ]);
  });
});
