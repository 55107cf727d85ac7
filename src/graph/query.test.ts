import { describe, expect, it } from 'vitest';
import { buildDependencies, dependencies, directDependencies, reverseDependencies, targetsMatching } from './query.ts';
import { createWorkspace, faultsOf } from './test-workspace.ts';

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
