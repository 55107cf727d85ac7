import { describe, expect, it } from 'vitest';
import { targetHash } from '../hash/hash.ts';
import { passesFilter } from '../names/label-filter.ts';
import { createWorkspace, faultsOf } from '../test-workspace.ts';
import { targetsMaking, targetsReading } from './file-query.ts';
import { formatTarget } from './format-target.ts';
import { buildDependencies, dependencies, directDependencies, reverseDependencies, targetsMatching } from './query.ts';
import { somePath } from './some-path.ts';

const load = (build: string) =>
  createWorkspace({ BUILD: build, 'sub/BUILD': 'genrule(name = "s")\ngenrule(name = "sub")' }, { git: false }).load();

const diamond = `
genrule(name = "top", deps = [":left", ":right"])
genrule(name = "left", deps = [":base"])
genrule(name = "right", srcs = [":base"])
genrule(name = "base")
`;

describe('queries', () => {
  it('matches patterns, sorted and each once', async () => {
    const graph = await load(diamond);
    expect(targetsMatching(graph, ['//...'])).toEqual([
      '//:base',
      '//:left',
      '//:right',
      '//:top',
      '//sub:s',
      '//sub:sub',
    ]);
    expect(targetsMatching(graph, [':s', '//sub', '//sub:all'], 'sub')).toEqual(['//sub:s', '//sub:sub']);
    expect(await faultsOf(() => targetsMatching(graph, ['//:tpo']))).toMatchObject([
      { code: 'graph/missing-target', next: 'did you mean //:top?' },
    ]);
    expect(await faultsOf(() => targetsMatching(graph, ['//sbu/...']))).toMatchObject([
      { code: 'graph/missing-package' },
    ]);
  });

  it('walks up and down, as far as asked', async () => {
    const graph = await load(diamond);
    expect(directDependencies(graph, '//:top')).toEqual(['//:left', '//:right']);
    expect(dependencies(graph, ['//:top'])).toEqual(['//:base', '//:left', '//:right']);
    expect(dependencies(graph, ['//:top'], 1)).toEqual(['//:left', '//:right']);
    expect(reverseDependencies(graph, ['//:base'])).toEqual(['//:left', '//:right', '//:top']);
    expect(reverseDependencies(graph, ['//:base'], 1)).toEqual(['//:left', '//:right']);
  });

  it('takes what a dependency provides in its place, where that is required', async () => {
    const graph = await load(`
genrule(name = "proto", provides = {"go": [":proto_go"], "java": [":proto_java"]})
genrule(name = "proto_go")
genrule(name = "proto_java")
genrule(name = "go", deps = [":proto"], requires = ["go"])
genrule(name = "other", deps = [":proto"])
genrule(name = "tool_user", tools = [":proto"], requires = ["go"])
`);
    expect(directDependencies(graph, '//:go')).toEqual(['//:proto_go']);
    expect(directDependencies(graph, '//:other')).toEqual(['//:proto']);
    expect(directDependencies(graph, '//:tool_user')).toEqual(['//:proto']);
    expect(reverseDependencies(graph, ['//:proto_go'])).toEqual(['//:go']);
  });
});

describe('buildDependencies', () => {
  it('are the direct ones and what these export', async () => {
    const graph = await load(`
genrule(name = "x", deps = [":a"], srcs = [":source"])
genrule(name = "a", deps = [":hidden"], exported_deps = [":b"])
genrule(name = "b", exported_deps = [":c"])
genrule(name = "c", deps = [":hidden"])
genrule(name = "hidden")
filegroup(name = "source", srcs = [":hidden"], exported_deps = [":with_source"])
genrule(name = "with_source")
`);
    expect(buildDependencies(graph, '//:x')).toEqual(['//:with_source', '//:c', '//:b', '//:a']);
  });

  it('are all, dependencies first, where the action needs them, up to complete outputs', async () => {
    const graph = await load(`
genrule(name = "x", deps = [":a"], tools = [":tool"], needs_transitive_deps = True)
genrule(name = "a", deps = [":b", ":complete"], tools = [":tool"])
genrule(name = "b", srcs = [":c"])
genrule(name = "c")
genrule(name = "complete", deps = [":inside"], output_is_complete = True)
genrule(name = "inside")
genrule(name = "tool")
`);
    expect(buildDependencies(graph, '//:x')).toEqual(['//:c', '//:b', '//:complete', '//:a']);
  });
});

describe('chains of dependencies', () => {
  it('gives a shortest one, or none', async () => {
    const graph = await load(`${diamond}genrule(name = "short", deps = [":top", ":base"])`);
    expect(somePath(graph, ['//:short'], ['//:base'])).toEqual(['//:short', '//:base']);
    expect(somePath(graph, ['//:top'], ['//:base'])).toEqual(['//:top', '//:left', '//:base']);
    expect(somePath(graph, ['//:base'], ['//:top'])).toBeUndefined();
    expect(somePath(graph, ['//:base', '//:left'], ['//:left'])).toEqual(['//:left']);
  });
});

describe('files of targets', () => {
  it('names who takes and who makes a file, folders around it included', async () => {
    const graph = await createWorkspace(
      {
        'a/BUILD':
          'genrule(name = "x", srcs = ["f", "folder"], outs = ["out/o"])\ngentest(name = "t", test_cmd = "", data = ["f"])\ngenrule(name = "d", outs = ["dir"])\nfilegroup(name = "g", srcs = ["f"])',
        'a/f': '',
        'a/folder/deep/g': '',
      },
      { git: false },
    ).load();
    expect(targetsReading(graph, 'a/f')).toEqual(['//a:g', '//a:t', '//a:x']);
    expect(targetsReading(graph, 'a/folder/deep/g')).toEqual(['//a:x']);
    expect(targetsReading(graph, 'a/folde')).toEqual([]);
    expect(targetsMaking(graph, 'a/out/o')).toEqual(['//a:x']);
    expect(targetsMaking(graph, 'a/dir/inside')).toEqual(['//a:d']);
    expect(targetsMaking(graph, 'a/f')).toEqual(['//a:g']);
  });
});

describe('printing', () => {
  it('gives a call of build_rule that makes the same target', async () => {
    const build = `
build_rule(
    name = "whole", cmd = "echo \\"x\\" > $OUT\\n\\tend \\\\", srcs = {"a": ["f"], "b": [":one"]}, outs = {"x": ["o"], "y": ["p/q"]},
    deps = [":one"], exported_deps = [":two"], tools = ["python3", ":one"], data = ["f"], env = {"A": "1"}, pass_env = ["HOME"],
    labels = ["l"], visibility = ["PUBLIC"], binary = True, needs_transitive_deps = True, output_is_complete = True,
    requires = ["go"], provides = {"py": [":one"]}, sandbox = False, timeout = 5, building_description = "Doing...",
)
build_rule(name = "one", outs = ["1"], action = "some", config = {"a": [1, True, None, {"b": "c"}]})
build_rule(name = "two", outs = ["2"], content = "text")
build_rule(name = "group", srcs = ["f"], _filegroup = True)
build_rule(name = "test", test = True, test_cmd = "run", test_tools = ["bash"], flaky = 4, test_timeout = "2m", no_test_output = True, test_sandbox = False)
`;
    const files = { 'a/f': '' };
    const before = await createWorkspace({ 'a/BUILD': build, ...files }, { git: false }).load();
    const printed = [...before.targets.values()].map(formatTarget).join('\n\n');
    const after = await createWorkspace({ 'a/BUILD': printed, ...files }, { git: false }).load();
    expect([...after.targets.keys()]).toEqual([...before.targets.keys()]);
    for (const [label, { place: _, rule: __, ...target }] of before.targets) {
      expect(after.targets.get(label)).toMatchObject(target);
      expect(targetHash(after, label)).toBe(targetHash(before, label));
    }
    expect(printed).toContain('# //a:one, made by build_rule (a/BUILD:8)');
  });
});

describe('label filters', () => {
  it.each<[string[], string[], boolean]>([
    [[], [], true],
    [['go'], [], true],
    [['py'], [], false],
    [['py', 'go'], [], true],
    [['py,go'], [], false],
    [['slow,go'], [], true],
    [['go'], ['slow'], false],
    [[], ['slow,py'], true],
  ])('include %j and exclude %j', async (include, exclude, passes) => {
    const graph = await load('genrule(name = "x", labels = ["go", "slow"])');
    expect(passesFilter(graph.targets.get('//:x')!, { include, exclude })).toBe(passes);
  });
});
