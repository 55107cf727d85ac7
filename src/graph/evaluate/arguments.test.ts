import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { affectedSince } from '../affected/affected.ts';
import { explain } from '../affected/explain.ts';
import { createTargetHasher } from '../hash/hash.ts';
import { decodeTargets, encodeTargets } from '../kept/encode-target.ts';
import type { Graph } from '../load/load.ts';
import { formatTarget } from '../query/format-target.ts';
import { createWorkspace, faultsOf, type TestWorkspace, testRules } from '../test-workspace.ts';
import type { Label, Target } from '../types.ts';
import { openWorkspace } from '../workspace/workspace.ts';
import { buildRule } from './build-rule.ts';

const everything = `
build_rule(
    name = "x",
    srcs = ["a.txt"],
    outs = ["x"],
    cmd = "true",
    system_srcs = ["/usr/include/zlib.h", "~/lib/"],
    tools = {"a": ["/opt/a"], "b": ["~/bin/b", "sh"]},
    output_dirs = ["_out", "gen/**"],
    optional_outs = ["*.map"],
    secrets = {"key": ["~/.key"], "more": ["/etc/a", "/etc/b"]},
    src_list_files = True,
    exit_on_error = False,
    local = True,
    progress = True,
)
build_rule(name = "t", test = True, test_cmd = "true", test_outputs = ["shot.png"], size = "large", exit_on_error = True)
`;

const hashed = (graph: Graph) => ({ ...graph, hash: createTargetHasher(graph) });
const withoutPlace = (target: Target) => formatTarget(target).replace(/^#.*\n/, '');

describe('arguments of build_rule', () => {
  it('tell a command the build configuration where it asks, and nobody else', async () => {
    const build = `
build_rule(name = "a", outs = ["a"], cmd = "echo \${BUILD_CONFIG} > $OUT")
build_rule(name = "b", outs = ["b"], cmd = {"opt": "echo $CONFIG > $OUT"}, env = {"CONFIG": "mine"})
build_rule(name = "c", outs = ["c"], cmd = "echo $CONFIGURATION > $OUT")
`;
    const { targets } = await createWorkspace({ 'p/BUILD': build }).load();
    expect(targets.get('//p:a')!.env).toEqual({ BUILD_CONFIG: 'opt', CONFIG: 'opt' });
    expect(targets.get('//p:b')!.env).toEqual({ BUILD_CONFIG: 'opt', CONFIG: 'mine' });
    expect(targets.get('//p:c')!.env).toEqual({});
  });

  it('can make the dependencies of a build those of the run, too', async () => {
    const build = `
build_rule(name = "a", outs = ["a"], cmd = "true")
build_rule(name = "s", srcs = [":a", "f"], runtime_deps_from_srcs = True, _subrepo = True)
build_rule(name = "d", deps = [":a"], runtime_deps_from_deps = True)
build_rule(name = "t", test = True, test_cmd = "run __ARGS__ on", test_cmd_args_placeholder = "__ARGS__")
`;
    const { targets } = await createWorkspace({ 'p/BUILD': build, 'p/f': '' }).load();
    const data = (label: Label) => targets.get(label)!.data.all;
    expect(data('//p:s')).toEqual([{ kind: 'label', label: '//p:a' }]);
    expect(data('//p:d')).toEqual([{ kind: 'label', label: '//p:a' }]);
    expect(targets.get('//p:t')!.test!.command).toBe('run  on');
  });

  it('come back as they are written: printed, and kept on the disk', async () => {
    const workspace = createWorkspace({ 'p/BUILD': everything, 'p/a.txt': '' });
    const { targets } = await workspace.load();
    const printed = [...targets.values()].map(withoutPlace).join('\n');
    const again = createWorkspace({ 'p/BUILD': printed, 'p/a.txt': '' });
    expect([...(await again.load()).targets.values()].map(withoutPlace).join('\n')).toBe(printed);
    for (const argument of [
      'system_srcs',
      'output_dirs',
      'optional_outs',
      'secrets',
      'src_list_files',
      'exit_on_error',
    ]) {
      expect(printed).toContain(`    ${argument} = `);
    }
    const kept = decodeTargets(encodeTargets(targets.values(), 'p/BUILD'), 'p', 'p/BUILD', () => '');
    for (const target of targets.values()) {
      expect(formatTarget(kept.get(target.name)!)).toBe(formatTarget(target));
      expect({ ...kept.get(target.name), place: undefined }).toEqual({ ...target, place: undefined });
    }
  });

  it.each([
    ['output_dirs', 'output_dirs = ["a"]', 'output_dirs = ["a/**"]'],
    ['optional_outs', 'optional_outs = ["a"]', ''],
    ['secrets', 'secrets = ["/a"]', 'secrets = ["/b"]'],
    ['secrets', 'secrets = ["/a"]', 'secrets = {"x": ["/a"]}'],
    ['srcs', 'system_srcs = ["/a"]', 'system_srcs = ["/b"]'],
    ['src_list_files', 'src_list_files = True', ''],
    ['exit_on_error', 'exit_on_error = False', ''],
    ['build_timeout', 'size = "small"', 'size = "large"'],
  ])('%s is part of the hash: %s is not %s', async (attribute, before, after) => {
    const rule = (more: string) => `build_rule(name = "x", outs = ["x"], cmd = "true", ${more})`;
    const graphs = [];
    for (const more of [before, after]) graphs.push(await createWorkspace({ BUILD: rule(more) }).load());
    expect((await explain(hashed(graphs[0]!), hashed(graphs[1]!), '//:x', testRules)).cause).toMatchObject({
      attribute,
    });
  });

  it('that only say how a result is handled are none', async () => {
    const rule = (more: string) => `build_rule(name = "x", outs = ["x"], cmd = "true", ${more})`;
    const hashes = [];
    for (const more of [
      '',
      'local = True',
      'progress = True',
      'size = None',
      'secrets = []',
      'no_test_coverage = True',
      // As in Please, what is said of a test where there is none says nothing.
      'test_cmd = "x", test_outputs = ["x"], flaky = 3, no_test_output = True, test_timeout = 3, test_tools = ["x"]',
    ]) {
      hashes.push(createTargetHasher(await createWorkspace({ BUILD: rule(more) }).load())('//:x'));
    }
    expect(new Set(hashes).size).toBe(1);
  });

  it.each([
    ['secrets = ["key"]', 'secrets has "key", which is no absolute path'],
    ['secrets = ["//key"]', 'secrets has "//key", which is no absolute path'],
    ['secrets = ["~someone/key"]', 'secrets has "~someone/key", which is no absolute path'],
    ['secrets = ["/a/../b"]', 'secrets has "/a/../b", which is no absolute path'],
    ['system_srcs = ["include/x.h"]', 'system_srcs has "include/x.h", which is no absolute path'],
    ['output_dirs = ["../out"]', 'output_dirs has "../out", which is no path inside the package'],
    ['output_dirs = ["out/*"]', 'output_dirs has "out/*", which is no folder'],
    ['optional_outs = ["/tmp/x"]', 'optional_outs has "/tmp/x", which is no path inside the package'],
    ['size = "huge"', 'there is no size "huge"'],
    ['build_timeout = "soon"', 'build_timeout is "soon", which is no length of time'],
    ['tools = ["~x"]', 'tools has "~x", which is no absolute path'],
    ['hashes = ["sha1: 12"]', 'hashes has "sha1: 12", which is no SHA-256 sum'],
    ['hashes = ["blake3: 12"]', 'hashes has "blake3: 12", which is no SHA-256 sum'],
    [
      'hashes = ["crc32: 12345678"]',
      'hashes has "crc32: 12345678", and hashcheckers of .plzconfig lets only sha256, sha1, blake3 count',
    ],
    ['hashes = ["12345678"]', 'hashes has "12345678", which is no SHA-256 sum'],
    ['content = "x", secrets = ["/a"]', 'secrets is given, but content in place of a command'],
    ['_filegroup = True, system_srcs = ["/a"]', 'a group of files takes no files of the system'],
    ['test = True, test_outputs = ["x.xml"]', 'test_outputs of //:x has x.xml, which is the name of its results'],
  ])('are refused where they make no sense: %s', async (argument, message) => {
    const [fault] = await faultsOf(() => createWorkspace({ BUILD: `build_rule(name = "x", ${argument})` }).load());
    expect(fault).toMatchObject({ message, place: { file: 'BUILD', line: 1 } });
    expect(fault?.next).toBeTruthy();
  });

  it('test_outputs of one package have different names', async () => {
    const test = (name: string) =>
      `build_rule(name = "${name}", test = True, test_cmd = "true", test_outputs = ["shot"])\n`;
    const [fault] = await faultsOf(() => createWorkspace({ BUILD: test('a') + test('b') }).load());
    expect(fault).toMatchObject({ code: 'graph/output-clash', message: '//:a and //:b both leave shot behind' });
  });
});

describe('time limits', () => {
  const rules = `
build_rule(name = "usual", test = True)
build_rule(name = "sized", test = True, size = "small")
build_rule(name = "both", test = True, size = "small", test_timeout = 7)
build_rule(name = "named", test = True, build_timeout = "SIZE")
`;

  async function limits(build: string, config?: string) {
    const workspace = createWorkspace({ BUILD: build, ...(config !== undefined && { '.plzconfig': config }) });
    const { targets } = await workspace.load();
    return Object.fromEntries([...targets.values()].map(({ name, timeout, test }) => [name, [timeout, test?.timeout]]));
  }

  it('follow sizes as Please has them, and are labels', async () => {
    expect(await limits(rules.replace('SIZE', 'moderate'))).toEqual({
      usual: [undefined, 600],
      sized: [60, 60],
      both: [60, 7],
      named: [300, 600],
    });
    const { targets } = await createWorkspace({
      BUILD: 'build_rule(name = "x", size = "small", labels = ["a"])',
    }).load();
    expect(targets.get('//:x')?.labels).toEqual(['a', 'small']);
  });

  it('are those of .plzconfig', async () => {
    const config = `
[build]
timeout = 20m
[test]
timeout = 90
[Size "small"]
timeout = 5s
timeoutname = quick
`;
    expect(await limits(rules.replace('SIZE', 'quick'), config)).toEqual({
      usual: [1200, 90],
      sized: [5, 5],
      both: [5, 7],
      named: [5, 90],
    });
    const [fault] = await faultsOf(() => limits(rules.replace('SIZE', 'small'), '[build]\ntimeout = soon\n'));
    expect(fault).toMatchObject({
      code: 'graph/bad-workspace',
      message: 'timeout is "soon", which is no length of time',
      place: { file: '.plzconfig', line: 2 },
    });
  });
});

describe('the sandbox', () => {
  it('is switched by .plzconfig for all, and by a rule for itself', async () => {
    const workspace = createWorkspace({
      '.plzconfig': '[sandbox]\nbuild = off\ntest = off\n',
      BUILD: `
build_rule(name = "usual", test = True, sandbox = None)
build_rule(name = "own", test = True, sandbox = True, test_sandbox = True)
`,
    });
    const { targets } = await workspace.load();
    const of = (label: Label) => [targets.get(label)?.sandbox, targets.get(label)?.test?.sandbox];
    expect([of('//:usual'), of('//:own')]).toEqual([
      [false, false],
      [true, true],
    ]);
  });
});

describe('what .plzconfig says of sandboxes', () => {
  it('lets only some targets do without', async () => {
    const config = '[sandbox]\nexcludeabletargets = //free/...\nexcludeabletargets = //p:y\n';
    const rule = (more = '') => `build_rule(name = "x", test = True, ${more})\nbuild_rule(name = "y", sandbox = False)`;
    const good = createWorkspace({
      '.plzconfig': config,
      'p/BUILD': rule(),
      'free/a/BUILD': rule('test_sandbox = False'),
    });
    expect((await good.load()).targets.get('//free/a:x')?.test?.sandbox).toBe(false);
    for (const argument of ['sandbox = False', 'test_sandbox = False']) {
      const [fault] = await faultsOf(() => createWorkspace({ '.plzconfig': config, 'p/BUILD': rule(argument) }).load());
      expect(fault).toMatchObject({
        message: '//p:x may not do without the sandbox',
        next: expect.stringContaining('//free/..., //p:y'),
      });
    }
    const [fault] = await faultsOf(() =>
      createWorkspace({ '.plzconfig': '[sandbox]\nexcludeabletargets = a b\n', BUILD: '' }).load(),
    );
    expect(fault).toMatchObject({ code: 'graph/bad-workspace', place: { file: '.plzconfig', line: 2 } });
  });
});

describe('stamp', () => {
  const files = {
    'p/BUILD': `
build_rule(name = "x", deps = [":y"], outs = ["x"], cmd = "true", stamp = True)
build_rule(name = "y", outs = ["y"], cmd = "true", deps = [":z"])
build_rule(name = "z", outs = ["z"], cmd = "true", labels = ["one"])
`,
  };

  it('makes the target another one with each commit, and no other target', async () => {
    const workspace = createWorkspace(files);
    const base = workspace.commit();
    workspace.write({ README: 'x' });
    const head = workspace.commit();
    const since = async (revision: string, to?: string) =>
      (await affectedSince(await openWorkspace(workspace.root), { ruleFiles: testRules, since: revision, to })).targets;
    expect(await since(base, head)).toEqual(['//p:x']);
    expect(await since(base)).toEqual(['//p:x']);
    workspace.write({ README: 'y' });
    expect(await since(head)).toEqual([]);
    const { targets } = await workspace.load();
    expect(targets.get('//p:x')?.stamp).toEqual({
      revision: head,
      describe: head.slice(0, 12),
      date: expect.stringMatching(/^20[0-9]{6}$/),
    });
  });

  it('covers what it is told of those that it depends on', async () => {
    const workspace = createWorkspace(files);
    const base = workspace.commit();
    workspace.write({ 'p/BUILD': files['p/BUILD'].replace('"one"', '"two"') });
    const [since, again] = [base, 'HEAD'].map((revision) => ({ ruleFiles: testRules, since: revision }));
    for (const options of [since!, again!]) {
      expect((await affectedSince(await openWorkspace(workspace.root), options)).targets).toEqual(['//p:x']);
    }
    const before = await createWorkspace(files).load();
    const after = await createWorkspace({ 'p/BUILD': files['p/BUILD'].replace('"one"', '"two"') }).load();
    expect((await explain(hashed(before), hashed(after), '//p:x', testRules)).cause).toMatchObject({
      attribute: 'stamp',
    });
  });

  it('is empty without a repository, or before the first commit', async () => {
    for (const git of [false, true]) {
      const workspace = createWorkspace(files, { git });
      if (!git) rmSync(join(workspace.root, '.git'), { recursive: true, force: true });
      const { targets } = await workspace.load();
      expect(targets.get('//p:x')?.stamp).toEqual({ revision: '', describe: '', date: '' });
    }
  });
});

describe('post_build', () => {
  const files = (body: string) => ({
    'p/BUILD': `
def _after(name, output):
    ${body}

build_rule(name = "x", outs = ["x"], cmd = "true", post_build = _after)
build_rule(name = "user", srcs = [":x"], outs = ["user"], cmd = "true")
build_rule(name = "apart", outs = ["apart"], cmd = "true", labels = ["one"])
`,
    'p/in.txt': '1',
    'q/any.txt': '1',
  });
  const since = async (workspace: TestWorkspace, revision: string, to?: string) =>
    (await affectedSince(await openWorkspace(workspace.root), { ruleFiles: testRules, since: revision, to })).targets;

  it('affects what depends on it when its code changes, and only then where it changes outputs alone', async () => {
    const workspace = createWorkspace(files('add_out(name, output[0] + ".a")'));
    const base = workspace.commit();
    workspace.write({ 'q/any.txt': '2', 'p/in.txt': '2' });
    expect(await since(workspace, base)).toEqual([]);
    workspace.write({ 'p/BUILD': `# A comment.\n${files('add_out(name, output[0] + ".a")')['p/BUILD']}` });
    expect(await since(workspace, base)).toEqual([]);
    workspace.write(files('add_out(name, output[0] + ".b")'));
    expect(await since(workspace, base)).toEqual(['//p:user', '//p:x']);
    const head = workspace.commit();
    expect(await since(workspace, base, head)).toEqual(['//p:user', '//p:x']);
  });

  it.each([
    'genrule(name = "made", srcs = ["in.txt"])',
    'add_dep("user", output[0])',
    'add_out(name, get_labels(":apart")[0])',
    'add_out(name, glob(["*.txt"])[0])',
  ])('may lead to any file, so that any change affects it: %s', async (body) => {
    const workspace = createWorkspace(files(body));
    const base = workspace.commit();
    expect(await since(workspace, base)).toEqual([]);
    workspace.write({ 'q/any.txt': '2' });
    expect(await since(workspace, base)).toEqual(['//p:user', '//p:x']);
    const head = workspace.commit();
    expect(await since(workspace, base, head)).toEqual(['//p:user', '//p:x']);
    expect(await since(workspace, head)).toEqual([]);
    const [before, after] = [await createWorkspace(files(body)).load(), await workspace.load()];
    const explained = await explain(hashed(before), hashed(after), '//p:user', testRules);
    expect(explained).toMatchObject({ chain: ['//p:x', '//p:user'], cause: { kind: 'any file' } });
  });

  it('is told by print, and not by the graph that queries see', async () => {
    const { targets } = await createWorkspace(files('genrule(name = "made")')).load();
    expect([...targets.keys()]).toEqual(['//p:x', '//p:user', '//p:apart']);
    expect(formatTarget(targets.get('//p:x')!)).toContain(
      '\n# Once it is built, its post_build function may change it.\n',
    );
  });

  it('takes the name and what was printed', async () => {
    const [fault] = await faultsOf(() =>
      createWorkspace({ BUILD: 'build_rule(name = "x", post_build = lambda a, b, c: a)' }).load(),
    );
    expect(fault).toMatchObject({ message: 'the function post_build takes 3 arguments', place: { line: 1 } });
    const [group] = await faultsOf(() =>
      createWorkspace({ BUILD: 'build_rule(name = "x", _filegroup = True, post_build = lambda a, b: a)' }).load(),
    );
    expect(group?.message).toContain('a group of files runs nothing');
  });
});

describe('each argument of build_rule', () => {
  const test = 'test = True, test_cmd = "x"';
  /** Given with an argument, and without it: what comes out is another target. */
  const telling: Readonly<Record<string, string | readonly [argument: string, beside: string]>> = {
    name: 'name = "y"',
    cmd: 'cmd = "y"',
    test_cmd: ['test_cmd = "y"', 'test = True'],
    srcs: 'srcs = ["f"]',
    data: 'data = ["f"]',
    outs: 'outs = ["o"]',
    out: 'out = "o"',
    deps: 'deps = ["//b"]',
    exported_deps: 'exported_deps = ["//b"]',
    runtime_deps: 'runtime_deps = ["//b"]',
    internal_deps: 'internal_deps = ["//b"]',
    tools: 'tools = ["sh"]',
    test_tools: ['test_tools = ["sh"]', test],
    labels: 'labels = ["l"]',
    visibility: 'visibility = ["PUBLIC"]',
    hashes: `hashes = ["${'0'.repeat(64)}"]`,
    binary: 'binary = True',
    test: 'test = True',
    test_only: 'test_only = True',
    building_description: 'building_description = "..."',
    needs_transitive_deps: 'needs_transitive_deps = True',
    output_is_complete: 'output_is_complete = True',
    sandbox: 'sandbox = False',
    test_sandbox: ['test_sandbox = False', test],
    no_test_output: ['no_test_output = True', test],
    flaky: ['flaky = True', test],
    build_timeout: 'build_timeout = 7',
    test_timeout: ['test_timeout = 7', test],
    requires: 'requires = ["k"]',
    provides: 'provides = {"k": "//b"}',
    pass_env: 'pass_env = ["V"]',
    env: 'env = {"V": "1"}',
    tag: 'tag = "t"',
    action: ['action = "a"', 'cmd = ""'],
    config: ['config = {"k": 1}', 'cmd = "", action = "a"'],
    content: ['content = "c"', 'cmd = "", out = "o"'],
    _filegroup: ['_filegroup = True', 'cmd = ""'],
    licences: 'licences = ["l"]',
    entry_points: ['entry_points = {"e": "o"}', 'out = "o"'],
    pre_build: 'pre_build = lambda name: add_label(name, "pre")',
    post_build: 'post_build = lambda name, output: add_label(name, "post")',
    size: 'size = "small"',
    local: 'local = True',
    progress: 'progress = True',
    exit_on_error: 'exit_on_error = False',
    secrets: 'secrets = ["/s"]',
    output_dirs: 'output_dirs = ["d"]',
    optional_outs: 'optional_outs = ["*.x"]',
    test_outputs: ['test_outputs = ["x"]', test],
    system_srcs: 'system_srcs = ["/etc/hosts"]',
    stamp: 'stamp = True',
    src_list_files: 'src_list_files = True',
    runtime_deps_from_srcs: ['runtime_deps_from_srcs = True', 'srcs = ["//b"]'],
    runtime_deps_from_deps: ['runtime_deps_from_deps = True', 'deps = ["//b"]'],
    test_cmd_args_placeholder: ['test_cmd_args_placeholder = "x"', test],
  };
  /** Please's debugger and its measuring of coverage, and a mark that only its own rules set. */
  const silent: Readonly<Record<string, string>> = {
    debug_cmd: 'debug_cmd = "x"',
    debug_data: 'debug_data = ["f"]',
    debug_tools: 'debug_tools = ["sh"]',
    no_test_coverage: 'no_test_coverage = True',
    _subrepo: '_subrepo = True',
  };
  /** Only Please's own rules may give it there; here remote_file does without. */
  const refused = ['_urls'];

  it('is in one of these lists', () => {
    const names = buildRule.parameters.map(({ name }) => name);
    expect(names.toSorted()).toEqual([...Object.keys(telling), ...Object.keys(silent), ...refused].sort());
  });

  const made = async (args: string) => {
    const given = [
      ...(/\bname = /.test(args) ? [] : ['name = "x"']),
      ...(args === '' ? [] : [args]),
      ...(/\b(cmd|content) = /.test(args) ? [] : ['cmd = "true"']),
    ];
    const { targets } = await createWorkspace(
      {
        'a/BUILD': `build_rule(${given.join(', ')})`,
        'a/f': '',
        'b/BUILD': 'build_rule(name = "b", cmd = "true", visibility = ["PUBLIC"])',
      },
      { git: true },
    ).load();
    const [target] = [...targets.values()].filter((each) => each.package === 'a');
    return { ...target, place: undefined };
  };

  it.each(Object.entries(telling))('means something: %s', async (_, written) => {
    const [argument, beside] = typeof written === 'string' ? [written, ''] : written;
    expect(await made(beside === '' ? argument : `${beside}, ${argument}`)).not.toEqual(await made(beside));
  });

  it.each(Object.entries(silent))('or is taken without effect: %s', async (_, argument) => {
    expect(await made(argument)).toEqual(await made(''));
  });
});
