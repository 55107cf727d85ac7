import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { openWorkspace } from '../../graph/index.ts';
import { silent } from '../../progress/index.ts';
import { ruleFiles } from '../../rules/index.ts';
import { imageWorkspace } from '../testing/image-workspace.ts';
import { explainImage } from './image-explain.ts';

async function committed(files: Record<string, string>) {
  const workspace = await imageWorkspace(files);
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@example.invalid', ...args], {
      cwd: workspace.root,
      encoding: 'utf8',
    });
  git('add', '-A');
  git('commit', '-qm', 'one');
  const explained = async (label: `//${string}`, since = 'HEAD') =>
    explainImage(await openWorkspace(workspace.root), label, since, {
      progress: silent,
      load: { ruleFiles: ruleFiles() },
    });
  return { ...workspace, git, explained };
}

const files = {
  'p/BUILD': `
genrule(name = "gen", srcs = ["in.txt"], outs = ["gen.txt"], cmd = "head -1 $SRC > $OUT")
docker_image(name = "image", files = {"/app/gen": ":gen", "/app/own": "own.txt"}, entrypoint = ["/app/gen"])
`,
  'p/in.txt': 'one\n',
  'p/own.txt': 'own\n',
};

it('tells the input, the chain, and which file of which layer came out otherwise', async () => {
  const { write, explained, git, root } = await committed(files);
  await write({ 'p/in.txt': 'two\n' });
  const { graph, before, after, differences } = await explained('//p:image');
  expect(graph).toMatchObject({
    chain: ['//p:gen', '//p:image'],
    cause: { kind: 'file', path: 'p/in.txt', change: 'content' },
  });
  expect(before?.tag).not.toBe(after.tag);
  expect(differences).toHaveLength(1);
  expect(differences[0]?.files).toMatchObject([
    { path: 'app/gen', change: 'changed', aspects: ['content'], after: { layer: { purpose: 'files' } } },
  ]);
  // Neither the work tree nor the repository has changed, and nothing is left behind.
  expect(git('status', '--porcelain').trim()).toMatch(/^M p\/in.txt/);
  expect(git('worktree', 'list').trim().split('\n')).toHaveLength(1);
  expect(git('branch', '--list').trim()).toMatch(/^\* \S+$/);
  expect((await readdir(tmpdir())).filter((name) => name.startsWith('banksman-commit-'))).toEqual([]);
  expect(root).toBeTruthy();
});

it('an input that has changed and made no difference is told as that', async () => {
  const { write, explained } = await committed(files);
  await write({ 'p/in.txt': 'one\nand a line that nobody reads\n' });
  const { graph, before, after, differences } = await explained('//p:image');
  expect(graph.cause).toMatchObject({ path: 'p/in.txt' });
  expect(after).toEqual(before);
  expect(differences).toMatchObject([{ same: true, files: [] }]);
});

it('what has not changed, what is new, and what the configuration made so', async () => {
  const { write, explained, git } = await committed(files);
  expect(await explained('//p:image')).toMatchObject({ graph: { chain: [] }, differences: [] });
  await write({ 'p/BUILD': files['p/BUILD'].replace('["/app/gen"]', '["/app/own"]') });
  git('commit', '-qam', 'two');
  const { graph, differences } = await explained('//p:image', 'HEAD~1');
  expect(graph.cause).toMatchObject({ kind: 'attribute' });
  expect(differences[0]).toMatchObject({
    files: [],
    configuration: [{ field: 'Entrypoint', before: ['/app/gen'], after: ['/app/own'] }],
  });
  await write({ 'q/BUILD': 'docker_image(name = "image", files = {"/x": {"content": "x"}})' });
  expect(await explained('//q:image')).toMatchObject({ before: undefined, graph: { cause: { kind: 'new' } } });
  await expect(explained('//p:image', '--upload-pack=x')).rejects.toMatchObject({
    code: expect.stringMatching(/graph|release/),
  });
});
