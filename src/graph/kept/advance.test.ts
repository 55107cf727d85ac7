import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isFault } from '../../fault/index.ts';
import { silent } from '../../progress/index.ts';
import { affectedSince } from '../affected/affected.ts';
import { createTargetHasher } from '../hash/hash.ts';
import { type LoadOptions, loadGraph } from '../load/load.ts';
import { createWorkspace, type Files, type TestWorkspace, testRules } from '../test-workspace.ts';
import { openWorkspace } from '../workspace/workspace.ts';
import { loadWholeGraph } from './cached-load.ts';

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'banksman-graph-cache-'));
  process.env.BANKSMAN_CACHE = cache;
});
afterEach(() => {
  delete process.env.BANKSMAN_CACHE;
  rmSync(cache, { recursive: true, force: true });
});

const ways = {
  'by the state that git tells': { ruleFiles: testRules, cache: { minimumIndex: 0 } },
  'by what evaluation looked at': { ruleFiles: testRules, cache: { minimumIndex: Number.POSITIVE_INFINITY } },
};

/** What a load gives or says, as plain data. */
async function outcome(
  load: (
    say: (line: string) => void,
  ) => Promise<{ targets: ReadonlyMap<string, unknown>; hash(label: string): string }>,
) {
  const said: string[] = [];
  try {
    const { targets, hash } = await load((line) => said.push(line));
    return { targets: JSON.parse(JSON.stringify([...targets])), hashes: [...targets.keys()].map(hash), said };
  } catch (error) {
    if (!isFault(error)) throw error;
    const all = [error, ...error.others];
    return all.map(({ code, message, place }) => `${code} ${place?.file}:${place?.line}:${place?.column} ${message}`);
  }
}

/** The graph in the light of what was kept is the graph. */
async function checked(workspace: TestWorkspace, options: LoadOptions): Promise<void> {
  const opened = await openWorkspace(workspace.root);
  const load = () =>
    outcome((say) =>
      loadWholeGraph(opened, { ...options, progress: { ...silent, say } }).then(({ targets, hash }) => ({
        targets,
        hash: hash as (label: string) => string,
      })),
    );
  const quick = await load();
  const again = await load();
  const slow = await outcome(async (say) => {
    const graph = await loadGraph(opened, { ruleFiles: testRules, progress: { ...silent, say } });
    return { targets: graph.targets, hash: createTargetHasher(graph) as (label: string) => string };
  });
  expect(quick).toEqual(slow);
  expect(again).toEqual(slow);
}

const base: Files = {
  BUILD: 'genrule(name = "root", srcs = glob(["*.txt"]), deps = ["//a:lib"])',
  'top.txt': '1',
  'defs/BUILD': 'filegroup(name = "rules", srcs = ["rules.build_defs"], visibility = ["PUBLIC"])',
  'defs/rules.build_defs':
    'def service(name:str, deps:list=[]):\n  return genrule(name = name, deps = deps, cmd = "v1", visibility = ["PUBLIC"])\n',
  'defs/plain.build_defs': 'subinclude("//defs:deep.build_defs")\nword = deep + "!"\n',
  'defs/deep.build_defs': 'deep = "deep"\n',
  'a/BUILD':
    'subinclude("//defs:rules")\nservice(name = "service", deps = [":lib"])\ngenrule(name = "lib", srcs = glob(["*.src"]), visibility = ["PUBLIC"])\n',
  'a/one.src': '1',
  'b/BUILD':
    'subinclude("//defs:plain.build_defs")\ngenrule(name = "b", cmd = word, deps = ["//a:service", "//c:both"], requires = ["go"], outs = ["b.out"])\n',
  'c/BUILD':
    'genrule(name = "go", visibility = ["PUBLIC"])\ngenrule(name = "both", provides = {"go": [":go"]}, visibility = ["PUBLIC"])\nlog.warning("c is odd")\n',
  'd/BUILD': 'genrule(name = "link", srcs = ["link"])\ngenrule(name = "folder", srcs = ["folder"])\n',
  'd/link': 'link:../a/one.src',
  'd/folder/f': '1',
  'e/f/BUILD': 'genrule(name = "f", deps = ["//b"])',
};

const edits: Record<string, (workspace: TestWorkspace) => void> = {
  'a source': (w) => w.write({ 'a/one.src': '2' }),
  'a source back': (w) => w.write({ 'a/one.src': '1' }),
  'a mode': (w) => w.chmod('top.txt', 0o755),
  'a glob gains': (w) => w.write({ 'a/two.src': '' }),
  'a glob loses': (w) => w.write({ 'a/two.src': null }),
  'a source goes': (w) => w.write({ 'd/folder': null }),
  'a source comes': (w) => w.write({ 'd/folder/f': '1' }),
  'more in a folder': (w) => w.write({ 'd/folder/g': '1' }),
  'a link moves': (w) => w.write({ 'd/link': 'link:../top.txt' }),
  'a link leads nowhere': (w) => w.write({ 'd/link': 'link:nowhere' }),
  'a folder becomes a file': (w) => w.write({ 'd/folder': 'x' }),
  build_defs: (w) =>
    w.write({ 'defs/rules.build_defs': (base['defs/rules.build_defs'] as string).replace('v1', 'v2') }),
  'build_defs that hide': (w) =>
    w.write({ 'defs/rules.build_defs': (base['defs/rules.build_defs'] as string).replace('"PUBLIC"', '') }),
  'included by an included file': (w) => w.write({ 'defs/deep.build_defs': 'deep = "deeper"\n' }),
  'a file in the way of a label': (w) =>
    w.write({ 'defs/rules': 'def service(name, deps=[]):\n  return genrule(name = name, cmd = "file")\n' }),
  'the file out of the way': (w) => w.write({ 'defs/rules': null }),
  'a package takes files over': (w) => w.write({ 'd/folder/BUILD': 'genrule(name = "x")' }),
  'a package gives files back': (w) => w.write({ 'd/folder/BUILD': null }),
  'a package moves': (w) => w.write({ 'e/f/BUILD': null, 'e/g/BUILD': 'genrule(name = "f", deps = ["//b"])' }),
  'a package goes': (w) => w.write({ 'c/BUILD': null }),
  'a package comes': (w) => w.write({ 'c/BUILD': base['c/BUILD']! }),
  provides: (w) =>
    w.write({
      'c/BUILD': 'genrule(name = "go", visibility = ["PUBLIC"])\ngenrule(name = "both", visibility = ["PUBLIC"])\n',
    }),
  'provides a circle': (w) =>
    w.write({
      'c/BUILD':
        'genrule(name = "go", deps = ["//e/f"], visibility = ["PUBLIC"])\ngenrule(name = "both", provides = {"go": [":go"]}, visibility = ["PUBLIC"])',
    }),
  visibility: (w) => w.write({ 'c/BUILD': 'genrule(name = "both")' }),
  test_only: (w) => w.write({ 'c/BUILD': 'genrule(name = "both", test_only = True, visibility = ["PUBLIC"])' }),
  'an error': (w) => w.write({ 'b/BUILD': 'genrule(' }),
  'the error mended': (w) => w.write({ 'b/BUILD': base['b/BUILD']! }),
  'outputs clash': (w) =>
    w.write({ 'e/BUILD': 'genrule(name = "x", outs = ["f"])\n', 'e/f/BUILD': 'genrule(name = "f", outs = ["y"])' }),
  'the root claims a folder': (w) => w.write({ BUILD: 'genrule(name = "x", outs = ["b/b.out"])' }),
  'the root as it was': (w) => w.write({ BUILD: base.BUILD! }),
  'a subrepo': (w) => w.write({ 'd/BUILD': 'subrepo(name = "s", path = "d/folder")' }),
  'no subrepo': (w) => w.write({ 'd/BUILD': base['d/BUILD']! }),
  'a comment': (w) => w.write({ 'a/BUILD': `# x\n${base['a/BUILD']}` }),
  'ignored files': (w) => w.write({ '.gitignore': '*.src\n' }),
  'a commit': (w) => void w.commit(),
  'a stash': (w) => void w.git('stash', 'push', '--include-untracked'),
};

describe.each(Object.entries(ways))('a graph that was kept %s', (_, options) => {
  it.each(Object.entries(edits))('is right after: %s', async (_, edit) => {
    const workspace = createWorkspace(base);
    workspace.commit();
    await checked(workspace, options);
    workspace.write({ 'a/two.src': 'two' });
    edit(workspace);
    await checked(workspace, options);
  });

  it('is right after any edits', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...Object.keys(edits)), { minLength: 2, maxLength: 8 }),
        async (names) => {
          const workspace = createWorkspace(base);
          workspace.commit();
          await checked(workspace, options);
          for (const name of names) {
            edits[name]!(workspace);
            await checked(workspace, options);
          }
          rmSync(workspace.root, { recursive: true });
        },
      ),
      { numRuns: 10 },
    );
  });

  it('gives the same answer for commits as for the work tree', async () => {
    const workspace = createWorkspace(base);
    const since = workspace.commit();
    const opened = await openWorkspace(workspace.root);
    for (const [name, edit] of Object.entries(edits)) {
      if (name === 'a stash') continue;
      edit(workspace);
      const to = workspace.commit();
      const ask = (to?: string) =>
        outcome(async () => {
          const found = await affectedSince(opened, { ...options, since, ...(to !== undefined && { to }) });
          return { targets: new Map(found.targets.map((label) => [label, true])), hash: () => '' };
        });
      expect(await ask(to), name).toEqual(await ask());
    }
  });
});
