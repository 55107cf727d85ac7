import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRegistryHandler, openBlobStore, pushImage } from '../../src/image/index.ts';
import { banksman, makeWorkspace } from '../e2e/workspace.ts';

let root: string;
let cache: string;
const removals: (() => Promise<void>)[] = [];
const image = (...args: string[]) => banksman(root, ['image', ...args], { BANKSMAN_CACHE: cache });

beforeAll(async () => {
  const made = await makeWorkspace({
    'banksman.yaml': 'name: x\n',
    'a/BUILD': 'docker_image(name = "image", files = {"/app/a": "a.txt"}, entrypoint = ["/app/a"], ports = [8080])',
    'a/a.txt': 'one\n',
    'b/BUILD': 'docker_image(name = "image", files = {"/app/b": {"content": "b"}}, env = {"B": "1"})',
  });
  root = made.root;
  cache = await mkdtemp(join(tmpdir(), 'banksman-cache-'));
  removals.push(made.remove, () => rm(cache, { recursive: true }));
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root });
  git('init', '-q');
  git('add', '-A');
  git('-c', 'user.name=T', '-c', 'user.email=t@example.invalid', 'commit', '-qm', 'one');
});
afterAll(async () => {
  for (const remove of removals) await remove();
});

it('inspect shows an image by label and by folder, for a person and as JSON', async () => {
  const shown = await image('inspect', '//a:image');
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/^\/\/a:image\n {2}digest +sha256:[0-9a-f]{64}\n {2}tag +[0-9a-f]{12}\n/);
  expect(shown.stdout).toContain('ExposedPorts 8080/tcp');
  expect(shown.stdout).toMatch(/[0-9a-f]{12} +[\d.]+ kB +accounts and folders\n/);
  const json = JSON.parse((await image('inspect', '//a:image', '--json')).stdout);
  expect(json).toMatchObject({
    repository: 'a',
    images: [
      {
        config: { Entrypoint: ['/app/a'] },
        layers: [{ purpose: 'accounts and folders' }, { purpose: 'files' }],
        packages: [],
      },
    ],
  });
  const folder = JSON.parse((await image('inspect', 'banksman-out/gen/a/image.oci', '--json')).stdout);
  expect(folder.digest).toBe(json.digest);
});

it('ls shows every image that can be built, and what is wrong with the others', async () => {
  await mkdir(join(root, 'broken'));
  try {
    await writeFile(
      join(root, 'broken/BUILD'),
      `genrule(name = "no", outs = ["no"], cmd = "exit 1")\ndocker_image(name = "image", files = {"/no": ":no"}, entrypoint = ["/no"])\n`,
    );
    const shown = await image('ls');
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(/^\/\/a:image {2}[0-9a-f]{12} {2}sha256:[0-9a-f]{64}\n\/\/b:image {2}/);
    expect(shown.stderr).toContain('//broken:no');
    expect(JSON.parse((await image('ls', '--json')).stdout)).toMatchObject([
      { label: '//a:image' },
      { label: '//b:image' },
    ]);
  } finally {
    await rm(join(root, 'broken'), { recursive: true });
  }
  expect((await image('ls')).code).toBe(0);
});

it('diff tells files and settings of two images, and with --exit-code that they differ', async () => {
  const outcome = await image('diff', '//a:image', '//b:image', '--exit-code');
  expect(outcome.code).toBe(1);
  expect(outcome.stdout).toContain('  + Env.B: 1\n');
  expect(outcome.stdout).toContain("  in the layer 'files': 2 files\n    - /app/a\n    + /app/b (1 B)\n");
  const same = await image('diff', '//a:image', '//a:image', '--exit-code');
  expect([same.code, same.stdout.includes('they are the same')]).toEqual([0, true]);
});

it('diff and explain compare with a commit', async () => {
  await writeFile(join(root, 'a/a.txt'), 'two, and longer\n');
  const diff = await image('diff', '//a:image', '--since', 'HEAD');
  expect(diff.stdout).toMatch(/^- \/\/a:image at [0-9a-f]{12} /);
  expect(diff.stdout).toContain('    ~ /app/a: content (4 B -> 16 B)\n');
  const explained = await image('explain', '//a:image', '--since', 'HEAD');
  expect(explained.stdout).toMatch(
    /^a\/a.txt has other content\n {2}-> \/\/a:image\n\/\/a:image: [0-9a-f]{12} -> [0-9a-f]{12}\n/,
  );
  expect(explained.stdout).toContain('    ~ /app/a: content');
  const json = JSON.parse((await image('explain', '//a:image', '--since', 'HEAD', '--json')).stdout);
  expect(json).toMatchObject({
    label: '//a:image',
    graph: { cause: { path: 'a/a.txt' } },
    differences: [{ files: [{ path: 'app/a' }] }],
  });
});

it('an image in a registry is pulled by what banksman.yaml says of it, and compared with a label', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-registry-'));
  removals.push(() => rm(folder, { recursive: true }));
  const store = await openBlobStore(join(folder, 'blobs'));
  const server = createServer(createRegistryHandler(store, { root: join(folder, 'registry') }) as RequestListener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  removals.push(async () => void server.close());
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  await writeFile(join(root, 'banksman.yaml'), `name: x\nregistries: { "${host}": { plain_http: true } }\n`);
  const layout = join(root, 'banksman-out/gen/b/image.oci');
  const { tag, digest } = JSON.parse((await image('inspect', '//b:image', '--json')).stdout);
  const reference = `${host}/b:${tag}`;
  await pushImage({ layout, reference, transport: { plainHttp: true, credentials: 'anonymous' } });
  const pulled = await image('inspect', reference, '--json');
  expect([pulled.stderr.includes('error['), JSON.parse(pulled.stdout).digest]).toEqual([false, digest]);
  const diff = await image('diff', reference, '//a:image');
  expect(diff.stdout).toContain('    + /app/a (');
  const gone = await image('inspect', `${host}/b:none`);
  expect([gone.code, gone.stderr.includes('image/registry-not-found')]).toEqual([1, true]);
});

it('wrong use ends with 2, what is no image with 1', async () => {
  expect((await image('diff', '//a:image')).code).toBe(2);
  expect((await image('diff', '//a:image', '//b:image', '--since', 'HEAD')).code).toBe(2);
  expect((await image('explain', '//a:image')).code).toBe(2);
  expect((await image('diff', './x.oci', '--since', 'HEAD')).code).toBe(2);
  const none = await image('inspect', './nowhere.oci');
  expect([none.code, none.stderr.includes('image/bad-layout')]).toEqual([1, true]);
  const revision = await image('diff', '//a:image', '--since', 'no-such-branch');
  expect([revision.code, revision.stderr.includes('release/no-commit')]).toEqual([1, true]);
  expect((await image('diff', '--help')).stdout).toContain('Examples:');
});
