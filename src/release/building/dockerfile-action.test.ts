import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { hexOf, readImageLayout } from '../../image/index.ts';
import { imageWorkspace, listed } from '../testing/image-workspace.ts';

/** Paths of all layers, the lowest first, and the configuration. */
async function contentOf(layout: string) {
  const { layers, configuration, digest } = await readImageLayout(layout);
  const blobs = layers.map((layer) => join(layout, 'blobs/sha256', hexOf(layer.digest)));
  const files = blobs.flatMap((blob) => listed(blob).filter((line) => !line.startsWith('d')));
  const read = (path: string) => execFileSync('tar', ['-xOf', blobs.at(-1)!, path], { encoding: 'utf8' });
  return { files, configuration, digest, read };
}

it('a Dockerfile copies files of its package, what targets make, and stands on an image by its label', async () => {
  vi.stubEnv('VERSION', '1.2');
  const workspace = await imageWorkspace({
    'p/BUILD': `
genrule(name = "made", outs = ["sub/made.txt"], cmd = "echo made > $OUT")
docker_image(
    name = "image",
    srcs = glob(["conf/*"]) + [":made", "//q:tool"],
    dockerfile = "Dockerfile",
    base_image = "//q:base",
    args = {"WHO": "bank"},
    build_args = "--build-arg VERSION --label team=ledger --no-cache",
    pass_env = ["VERSION"],
    image_labels = {"org.example.x": "y"},
)
`,
    'p/Dockerfile':
      'FROM //q:base\nARG WHO VERSION\nENV WHO=$WHO-$VERSION\nCOPY conf/ /etc/app/\nCOPY sub/made.txt tool /bin/\nCOPY b.yaml /flat/\nENTRYPOINT ["/bin/tool"]\n',
    'p/.dockerignore': 'conf/*.md\n',
    'p/conf/a.yaml': 'a',
    'p/conf/b.yaml': 'b',
    'p/conf/c.md': 'c',
    'q/BUILD': `
genrule(name = "tool", outs = ["bin/tool"], cmd = "echo tool > $OUT && chmod 755 $OUT", binary = True, visibility = ["PUBLIC"])
docker_image(name = "base", dockerfile = "Dockerfile", visibility = ["PUBLIC"])
`,
    'q/Dockerfile': 'FROM scratch\nCOPY <<EOF /base\nhello\nEOF\nUSER 65532\n',
  });
  const layout = await workspace.layout('//p:image');
  const { files, configuration, digest } = await contentOf(layout);
  expect(files).toEqual([
    '-rw-r--r-- 0/0 base',
    '-rw-r--r-- 0/0 etc/app/a.yaml',
    '-rw-r--r-- 0/0 etc/app/b.yaml',
    '-rw-r--r-- 0/0 bin/made.txt',
    '-rwxr-xr-x 0/0 bin/tool',
    '-rw-r--r-- 0/0 flat/b.yaml',
  ]);
  expect(configuration.config).toMatchObject({
    Env: expect.arrayContaining(['WHO=bank-1.2']),
    User: '65532',
    Entrypoint: ['/bin/tool'],
    Labels: { team: 'ledger', 'org.example.x': 'y' },
  });
  // Arguments are part of what is built, files that are left out are not.
  await workspace.write({ 'p/conf/c.md': 'changed' });
  expect((await contentOf(await workspace.layout('//p:image'))).digest).toBe(digest);
  vi.stubEnv('VERSION', '1.3');
  expect((await contentOf(await workspace.layout('//p:image'))).digest).not.toBe(digest);
  vi.stubEnv('VERSION', '1.2');
  await workspace.write({ 'q/Dockerfile': 'FROM scratch\nCOPY <<EOF /base\nhello there\nEOF\nUSER 65532\n' });
  expect((await contentOf(await workspace.layout('//p:image'))).digest).not.toBe(digest);
});

it('a file that is named by itself and by a group is one, and a Dockerfile sees what is edited', async () => {
  const workspace = await imageWorkspace({
    'p/BUILD': `
filegroup(name = "group", srcs = ["a"])
docker_image(name = "image", srcs = ["a", ":group"], dockerfile = "Dockerfile")
`,
    'p/Dockerfile': 'FROM scratch\nCOPY a /a\n',
    'p/a': 'one',
  });
  const first = await contentOf(await workspace.layout('//p:image'));
  expect(first.read('a')).toBe('one');
  await workspace.write({ 'p/a': 'two' });
  expect((await contentOf(await workspace.layout('//p:image'))).read('a')).toBe('two');
  await workspace.write({ 'p/a': 'one' });
  expect((await contentOf(await workspace.layout('//p:image'))).digest).toBe(first.digest);
});

it('links to what the context has stay links; others are what they lead to, and none leads out of the workspace', async () => {
  const workspace = await imageWorkspace({
    'p/BUILD': `docker_image(name = "image", dockerfile = "Dockerfile",
      srcs = glob(["**"], exclude = ["Dockerfile", "left"], include_symlinks = True))`,
    'p/Dockerfile': 'FROM scratch\nCOPY . /all/\nCOPY up /followed\n',
    'p/a': 'a',
    'p/left': 'left',
    'p/v1/deep/b': 'b',
  });
  for (const [path, to] of [
    ['p/current', 'v1/'],
    ['p/v1/up', '../a'],
    ['p/up', 'v1/deep/../up'],
    ['p/alone', 'left'],
  ] as const)
    symlinkSync(to, join(workspace.root, path));
  expect((await contentOf(await workspace.layout('//p:image'))).files).toEqual([
    '-rw-r--r-- 0/0 all/a',
    '-rw-r--r-- 0/0 all/alone',
    'lrwxrwxrwx 0/0 all/current -> v1/',
    'lrwxrwxrwx 0/0 all/up -> v1/deep/../up',
    '-rw-r--r-- 0/0 all/v1/deep/b',
    'lrwxrwxrwx 0/0 all/v1/up -> ../a',
    '-rw-r--r-- 0/0 followed',
  ]);
  symlinkSync('/etc/passwd', join(workspace.root, 'p/away'));
  await expect(workspace.layout('//p:image')).rejects.toMatchObject({ code: 'build/bad-source' });
});

it('an image for several architectures knows for which it is made', async () => {
  const workspace = await imageWorkspace({
    'p/BUILD': 'docker_image(name = "image", dockerfile = "Dockerfile", architectures = ["amd64", "arm64"])',
    'p/Dockerfile': 'FROM scratch\nARG TARGETARCH\nCOPY <<EOF /for-$TARGETARCH\nEOF\n',
  });
  const layout = await workspace.layout('//p:image');
  for (const architecture of ['amd64', 'arm64'] as const) {
    const image = await readImageLayout(layout, architecture);
    expect(image.configuration.architecture).toBe(architecture);
    expect(listed(join(layout, 'blobs/sha256', hexOf(image.layers[0]!.digest)))).toEqual([
      `-rw-r--r-- 0/0 for-${architecture}`,
    ]);
  }
});

it.each([
  ['FROM :other', 'srcs = ["a"]', /:other is not declared by the target/],
  ['FROM scratch\nCOPY a /', 'srcs = []', /"a" is not in the context/],
  ['FROM scratch\nCOPY ../q/BUILD /', 'srcs = ["a"]', /leads out of the context/],
  ['FROM scratch\nRUN apt-get install -y curl', 'srcs = ["a"]', /RUN is not carried out/],
  ['FROM scratch', 'srcs = ["a"], target = "none"', /has no stage "none"/],
  ['FROM scratch', 'srcs = ["a"], build_args = "--buildarg x=y"', /did you mean|is not known/],
  ['FROM scratch', 'srcs = ["a"], build_args = "--build-arg x=$SECRET"', /\$SECRET is not set, or not passed on/],
  ['FROM scratch', 'srcs = ["a"], entrypoint = ["/x"]', /entrypoint is for images without a Dockerfile/],
  ['FROM scratch', 'srcs = ["a"], context = "../.."', /leads out of the workspace/],
])('%j with %s is refused', async (dockerfile, args, message) => {
  const workspace = await imageWorkspace({
    'p/BUILD': `docker_image(name = "image", dockerfile = "Dockerfile", ${args})\ndocker_image(name = "other", dockerfile = "Dockerfile.other")`,
    'p/Dockerfile': dockerfile,
    'p/Dockerfile.other': 'FROM scratch',
    'p/a': 'a',
  });
  await expect(workspace.layout('//p:image')).rejects.toThrow(message);
});
