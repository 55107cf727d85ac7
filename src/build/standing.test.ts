import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createTargetHasher, type Graph, type Label } from '../graph/index.ts';
import { makeWorkspace, type TestWorkspace } from './testing/workspace.ts';
import type { BuiltinAction, BuiltinActions } from './types.ts';

const made: TestWorkspace[] = [];
afterEach(async () => {
  delete process.env.WORD;
  for (const each of made.splice(0)) await each.remove();
});

const files = {
  'a/BUILD': `
build_rule(name = "upper", srcs = ["in.txt"], outs = ["upper.txt"], cmd = "tr a-z A-Z < $SRC > $OUT", visibility = ["PUBLIC"])
build_rule(name = "word", outs = ["word"], cmd = "echo $WORD > $OUT", pass_env = ["WORD"], visibility = ["PUBLIC"])
build_rule(name = "folder", outs = ["folder"], cmd = "mkdir $OUT && touch $OUT/x", visibility = ["PUBLIC"])
build_rule(name = "machine", outs = ["machine"], action = "machine", visibility = ["PUBLIC"])
build_rule(name = "each", outs = ["each"], action = "each", visibility = ["PUBLIC"])
`,
  'b/BUILD': `
build_rule(name = "whole", srcs = ["//a:upper", "//a:word", "//a:machine"], outs = ["whole"], cmd = "cat $SRCS > $OUT")
build_rule(name = "with-each", srcs = ["//a:each"], outs = ["with-each"], cmd = "cat $SRCS > $OUT")
`,
  'a/in.txt': 'hello\n',
};

/** What the machine is, for actions that ask it. */
const machine = { fact: 'one' };

const writing = (): Pick<BuiltinAction, 'run'> => ({
  run: async ({ target, outputFolder }) => writeFile(join(outputFolder, target.outs[0]!), machine.fact),
});

const builtins: BuiltinActions = {
  machine: { version: '1', key: () => machine.fact, ...writing() },
  each: { version: '1', key: (target) => `${target.label} ${machine.fact}`, ...writing() },
};

async function workspace(): Promise<TestWorkspace> {
  const found = await makeWorkspace(files, { builtins });
  made.push(found);
  machine.fact = 'one';
  process.env.WORD = 'first';
  return found;
}

/** Builds, and tells for each label whether it was looked at: a target that stands is asked of nobody. */
async function build(
  w: TestWorkspace,
  labels: readonly Label[],
  edit: (graph: Graph) => Promise<void> = async () => {},
) {
  const before = await w.graph();
  for (const label of before.targets.keys()) createTargetHasher(before)(label);
  const looked = new Set<string>();
  await edit(before);
  const graph = await w.graph();
  const noting: Graph = {
    ...graph,
    tree: {
      ...graph.tree,
      contentHash(path) {
        looked.add(path);
        return graph.tree.contentHash(path);
      },
    },
  };
  const hashes = { of: createTargetHasher(before), contentHash: before.tree.contentHash };
  const builder = await w.builder({ graph: noting, hashes });
  const result = await builder.build(labels);
  const contents: Record<string, string> = {};
  for (const [label, { outputs }] of result.targets) {
    contents[label] = outputs[0]?.kind === 'file' ? await readFile(outputs[0].absolute, 'utf8') : 'folder';
  }
  return { ran: result.ran.map(({ label }) => label).sort(), cached: result.cached, contents, looked: looked.size > 0 };
}

describe('what stands since the last build', () => {
  it('is not looked at again, and its outputs are told as ever', async () => {
    const w = await workspace();
    const first = await build(w, ['//b:whole', '//a:upper']);
    expect(first).toMatchObject({
      looked: true,
      contents: { '//b:whole': 'HELLO\nfirst\none', '//a:upper': 'HELLO\n' },
    });
    const second = await build(w, ['//b:whole', '//a:upper']);
    expect(second).toEqual({ ran: [], cached: 2, contents: first.contents, looked: false });
  });

  it.each<[string, (w: TestWorkspace) => unknown, Record<string, string>]>([
    ['a source', (w) => w.write({ 'a/in.txt': 'other\n' }), { '//b:whole': 'OTHER\nfirst\none' }],
    [
      'a definition',
      (w) => w.write({ 'b/BUILD': files['b/BUILD'].replace('cat $SRCS', 'cat $SRCS $SRCS') }),
      { '//b:whole': 'HELLO\nfirst\noneHELLO\nfirst\none' },
    ],
    [
      'a variable of a dependency',
      () => {
        process.env.WORD = 'second';
      },
      { '//b:whole': 'HELLO\nsecond\none' },
    ],
    [
      'what a dependency asks the machine',
      () => {
        machine.fact = 'two';
      },
      { '//b:whole': 'HELLO\nfirst\ntwo' },
    ],
    [
      'an output that was removed',
      (w) => rm(join(w.root, 'banksman-out/gen/b/whole')),
      { '//b:whole': 'HELLO\nfirst\none' },
    ],
    [
      'an output that was written over',
      async (w) => {
        const path = join(w.root, 'banksman-out/gen/b/whole');
        await rm(path);
        await writeFile(path, 'mine');
      },
      { '//b:whole': 'HELLO\nfirst\none' },
    ],
  ])('is built again after an edit of %s', async (_, edit, expected) => {
    const w = await workspace();
    await build(w, ['//b:whole']);
    await edit(w);
    const again = await build(w, ['//b:whole']);
    expect(again).toMatchObject({ looked: true, contents: expected });
    expect(await build(w, ['//b:whole'])).toMatchObject({ ran: [], looked: false, contents: expected });
  });

  it('counts as nothing where it can not be told from afar', async () => {
    const w = await workspace();
    await build(w, ['//a:folder', '//b:with-each']);
    machine.fact = 'two';
    expect(await build(w, ['//a:folder', '//b:with-each'])).toMatchObject({ contents: { '//b:with-each': 'two' } });
  });

  it('is not remembered by hashes of before an edit', async () => {
    const w = await workspace();
    // The file changes after it was hashed and before it is built from.
    const edited = await build(w, ['//a:upper'], () => w.write({ 'a/in.txt': 'late\n' }));
    expect(edited.contents).toEqual({ '//a:upper': 'LATE\n' });
    await w.write({ 'a/in.txt': 'hello\n' });
    expect((await build(w, ['//a:upper'])).contents).toEqual({ '//a:upper': 'HELLO\n' });
  });

  it('is forgotten where the record is damaged', async () => {
    const w = await workspace();
    await build(w, ['//b:whole']);
    const folder = join(w.cache, 'standing');
    const record = join(folder, (await readdir(folder))[0]!);
    for (const length of [200, 20, 0]) {
      await truncate(record, length);
      expect(await build(w, ['//b:whole'])).toMatchObject({ ran: [], contents: { '//b:whole': 'HELLO\nfirst\none' } });
    }
    expect(await readFile(record, 'utf8')).not.toContain('first');
  });
});
