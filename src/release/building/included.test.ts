import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadGraph, openWorkspace } from '../../graph/index.ts';
import { silent } from '../../progress/index.ts';
import { ruleFiles } from '../../rules/index.ts';
import { faultOf, repository, useOwnCache } from '../testing/repository.ts';
import { createWorkspaceBuilder } from './builder.ts';

useOwnCache();

/** A file of build_defs that a program writes, from words. */
const files = {
  'defs/BUILD': `
genrule(name = "made", srcs = ["words.txt"], tools = [":writer"], outs = ["made.build_defs"], cmd = "$TOOL $SRC > $OUT",
        visibility = ["PUBLIC"])
genrule(name = "writer", srcs = ["writer.sh"], outs = ["writer"], cmd = "cp $SRC $OUT", binary = True)
`,
  'defs/writer.sh':
    '#!/bin/sh\nwhile read word; do printf "def %s(name):\\n    genrule(name = name, cmd = \\"echo %s > \\$OUT\\", outs = [name])\\n" $word $word; done < $1\n',
  'defs/words.txt': 'hello\nbye\n',
  'a/BUILD': 'subinclude("//defs:made")\nhello(name = "x")\nbye(name = "y")\n',
  'b/BUILD': 'genrule(name = "z", cmd = "touch $OUT", outs = ["z"])',
};

describe('including what is built', () => {
  it('builds it, and goes on with what it holds', async () => {
    const { load, targets, write } = repository(files);
    const { targets: all } = await load();
    expect([...all.keys()].filter((label) => label.startsWith('//a'))).toEqual(['//a:x', '//a:y']);
    expect(all.get('//a:y')?.action).toEqual({ kind: 'shell', command: 'echo bye > $OUT' });
    expect(await targets('//a:x')).toEqual(['//a:x']);
    write({ 'defs/words.txt': 'hello\n' });
    const fault = await faultOf(load());
    expect(fault).toMatchObject({ message: 'nothing is named bye', place: { file: 'a/BUILD', line: 3 } });
  });

  it('affects those whose definition comes out otherwise, between any two commits', async () => {
    const { write, commit, affected } = repository(files);
    const base = commit();
    write({ 'defs/writer.sh': files['defs/writer.sh'].replace('echo %s', 'echo [%s]') });
    const head = commit();
    // Everything is made anew from the commit's own files: what the disk holds now does not count.
    write({ 'defs/writer.sh': 'no program', 'defs/words.txt': '' });
    expect((await affected(base, head)).targets).toEqual(['//a:x', '//a:y', '//defs:made', '//defs:writer']);
    write({
      'defs/writer.sh': files['defs/writer.sh'].replace('while', '# A comment.\nwhile'),
      'defs/words.txt': files['defs/words.txt'],
    });
    expect((await affected(base)).targets).toEqual(['//defs:made', '//defs:writer']);
  });

  it('says that everything is affected where the earlier side can not be built', async () => {
    const { write, commit, affected } = repository({ ...files, 'defs/writer.sh': '#!/bin/sh\nexit 3\n' });
    const base = commit();
    write({ 'defs/writer.sh': files['defs/writer.sh'] });
    const { targets, note } = await affected(base);
    expect(targets).toEqual(['//a:x', '//a:y', '//b:z', '//defs:made', '//defs:writer']);
    expect(note).toContain("can't be evaluated, so everything counts as affected: //defs:made can't be included");
  });

  it('shows what is wrong in it, and why it could not be built', async () => {
    const { load, write } = repository(files);
    write({ 'defs/writer.sh': '#!/bin/sh\necho "x = ["\n' });
    expect(await faultOf(load())).toMatchObject({
      code: 'language/syntax',
      place: { file: 'banksman-out/gen/defs/made.build_defs', line: 1 },
    });
    write({ 'defs/writer.sh': '#!/bin/sh\necho no >&2; exit 3\n' });
    const fault = await faultOf(load());
    expect(fault).toMatchObject({
      code: 'graph/subinclude',
      message: "//defs:made can't be included: the action of //defs:made failed with exit code 3",
      place: { file: 'a/BUILD', line: 1 },
    });
    expect(fault.notes).toEqual(['no']);
    expect(fault.related).toContainEqual(expect.objectContaining({ message: 'the reason' }));
  });

  it('takes texts as they are, groups of built files, and what is built by way of such a file', async () => {
    const { load } = repository({
      'defs/BUILD': `
text_file(name = "text", content = "def one(name):\\n    genrule(name = name, cmd = 'true')\\n", visibility = ["PUBLIC"])
genrule(name = "gen", outs = ["gen.build_defs"], cmd = "echo 'two = 2' > $OUT")
filegroup(name = "group", srcs = [":gen", ":text", "plain.build_defs"], visibility = ["PUBLIC"])
`,
      'defs/plain.build_defs': 'three = 3\n',
      'more/BUILD':
        'subinclude("//defs:group")\ngenrule(name = "m", cmd = f"echo \'four = {two}{three}\' > $OUT", outs = ["m.build_defs"], visibility = ["PUBLIC"])',
      'a/BUILD': 'subinclude("//defs:text", "//more:m")\none(name = f"n{four}")',
    });
    expect([...(await load()).targets.keys()]).toContain('//a:n23');
  });

  it('is told where it would go round in a circle', async () => {
    const { load } = repository({
      'a/BUILD': 'subinclude("//b:made")\ngenrule(name = "x", outs = ["x"], cmd = "true", visibility = ["PUBLIC"])',
      'b/BUILD': 'genrule(name = "made", srcs = ["//a:x"], outs = ["made"], cmd = "true", visibility = ["PUBLIC"])',
    });
    const fault = await faultOf(load());
    expect([fault, ...fault.others].map(({ message }) => message)).toContainEqual(
      expect.stringContaining("//b:made can't be included by what it is made of"),
    );
  });

  it('goes for what .plzconfig has every BUILD file include', async () => {
    const { load } = repository({
      '.plzconfig': '[Parse]\nPreloadSubincludes = //defs:made\n',
      'defs/BUILD':
        'genrule(name = "made", outs = ["made.build_defs"], cmd = "echo \'everywhere = 1\' > $OUT", visibility = ["PUBLIC"])',
      'a/BUILD': 'genrule(name = f"x{everywhere}", cmd = "true")',
    });
    expect([...(await load()).targets.keys()]).toEqual(['//a:x1', '//defs:made']);
  });

  it('is a fault with a clear word where nothing builds', async () => {
    const { root } = repository(files);
    expect(await faultOf(loadGraph(await openWorkspace(root), { ruleFiles: ruleFiles() }))).toMatchObject({
      code: 'graph/subinclude',
      message: "//defs:made can't be included: it is built, and nothing is built to answer this",
      place: { file: 'a/BUILD', line: 1 },
    });
  });
});

describe('a build of a large workspace', () => {
  it('has post_build functions called, whether its graph was kept or not', async () => {
    const { root, commit } = repository({
      'p/BUILD': `
genrule(name = "list", outs = ["list"], cmd = "touch $OUT; echo a", post_build = lambda name, output: add_dep("user", ":" + output[0]))
genrule(name = "a", outs = ["a"], cmd = "echo a > $OUT")
genrule(name = "user", deps = [":list"], outs = ["user"], cmd = "ls p > $OUT")
`,
    });
    commit();
    const workspace = await openWorkspace(root);
    for (const ran of [3, 0, 0]) {
      const builder = await createWorkspaceBuilder(workspace, {
        progress: silent,
        patterns: ['//...'],
        cache: { minimumIndex: 0 },
      });
      const result = await builder.build(['//p:user']);
      expect(result.ran).toHaveLength(ran);
      expect(readFileSync(join(root, 'banksman-out/gen/p/user'), 'utf8')).toBe('a\nlist\n');
    }
  });
});
