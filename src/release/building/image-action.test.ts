import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { hexOf, installedPackages, readImageLayout, readLayout } from '../../image/index.ts';
import { imageWorkspace, listed } from '../testing/image-workspace.ts';

const everything = `
filegroup(name = "two", srcs = ["a.txt", "b.txt"])
docker_image(
    name = "image",
    files = {
        "/app/a": "a.txt",
        "/app/conf": {"source": "b.txt", "mode": "0640", "owner": "app:ops"},
        "/app/all/": ":two",
        "/etc/motd": {"content": "hello\\n"},
    },
    layers = [
        {"name": "library", "files": {"/lib/x": "a.txt"}, "folders": ["/srv/data"], "symlinks": {"/srv/link": "data"}},
        {"name": "assets", "files": {"/srv/data/b": "b.txt"}},
    ],
    folders = {"/var/spool/app": {"owner": "app:ops", "mode": "2750"}, "/opt/empty": "app"},
    users = {"app": 1001, "web": {"uid": 1002, "gid": 1500, "home": "/srv/web", "shell": "/bin/sh"}},
    groups = {"ops": {"gid": 1500, "members": ["app"]}},
    user = "app:ops",
    workdir = "/app",
    ports = [8080, "53/udp"],
    volumes = ["/data"],
    image_labels = {"org.example.team": "ledger"},
    stop_signal = "SIGINT",
    healthcheck = {"cmd": ["/app/a", "-health"], "interval": "1m30s", "timeout": 5, "retries": 2},
    entrypoint = ["/app/a"],
    cmd = ["serve"],
    env = {"A": "b"},
)
`;
const texts = { 'p/a.txt': 'a\n', 'p/b.txt': 'b\n' };

it('an image is what the rule says: layers, accounts, owners, modes, configuration', async () => {
  const workspace = await imageWorkspace({ 'p/BUILD': everything, ...texts });
  const { layers, configuration, layout } = await readImageLayout(await workspace.layout('//p:image'));
  expect(configuration.history.map(({ created_by }) => created_by)).toEqual([
    'accounts and folders',
    'files library',
    'files assets',
    'files',
  ]);
  const [accounts, library, assets, files] = layers.map(({ digest }) => join(layout, 'blobs/sha256', hexOf(digest)));
  const read = (path: string) => execFileSync('tar', ['-xOf', accounts!, path], { encoding: 'utf8' });
  expect(read('etc/passwd')).toContain(
    '\napp:x:1001:1001:app:/home/app:/usr/sbin/nologin\nweb:x:1002:1500:web:/srv/web:/bin/sh\n',
  );
  expect(read('etc/group')).toContain('\napp:x:1001:\nops:x:1500:app\n');
  expect(read('etc/group')).not.toContain('web:');
  expect(listed(accounts!)).toContain('drwxr-xr-x 1002/1500 srv/web/');
  expect(listed(library!)).toEqual([
    'drwxr-xr-x 0/0 srv/',
    'drwxr-xr-x 0/0 srv/data/',
    'lrwxrwxrwx 0/0 srv/link -> data',
    'drwxr-xr-x 0/0 usr/',
    'drwxr-xr-x 0/0 usr/lib/',
    '-rw-r--r-- 0/0 usr/lib/x',
  ]);
  expect(listed(assets!)).toContain('-rw-r--r-- 0/0 srv/data/b');
  expect(listed(files!)).toEqual(
    expect.arrayContaining([
      '-rw-r--r-- 0/0 app/a',
      '-rw-r--r-- 0/0 app/all/a.txt',
      '-rw-r--r-- 0/0 app/all/b.txt',
      '-rw-r----- 1001/1500 app/conf',
      '-rw-r--r-- 0/0 etc/motd',
      'drwxr-xr-x 1001/1001 opt/empty/',
      'drwxr-s--- 1001/1500 var/spool/app/',
    ]),
  );
  expect(configuration.config).toEqual({
    Cmd: ['serve'],
    Entrypoint: ['/app/a'],
    Env: ['A=b', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    ExposedPorts: { '53/udp': {}, '8080/tcp': {} },
    Healthcheck: { Interval: 90e9, Retries: 2, Test: ['CMD', '/app/a', '-health'], Timeout: 5e9 },
    Labels: { 'org.example.team': 'ledger' },
    StopSignal: 'SIGINT',
    User: '1001:1500',
    Volumes: { '/data': {} },
    WorkingDir: '/app',
  });
});

it('on a base, what the rule leaves open is the base and its names are known', async () => {
  const workspace = await imageWorkspace({
    'p/BUILD': `
docker_image(name = "base", users = {"app": 1001}, user = "app", workdir = "/srv", entrypoint = ["/run"], cmd = ["x"])
docker_image(name = "image", base_image = ":base", files = {"/srv/a": {"source": "a.txt", "owner": "app"}})
`,
    ...texts,
  });
  const { configuration, layers, layout } = await readImageLayout(await workspace.layout('//p:image'));
  expect(configuration.config).toMatchObject({
    User: '1001:1001',
    WorkingDir: '/srv',
    Entrypoint: ['/run'],
    Cmd: ['x'],
  });
  expect(layers).toHaveLength(2);
  expect(listed(join(layout, 'blobs/sha256', hexOf(layers[1]!.digest)))).toContain('-rw-r--r-- 1001/1001 srv/a');
});

const mistakes: [string, string, RegExp][] = [
  ['an owner nobody knows', 'files = {"/a": {"source": "a.txt", "owner": "nobody-here"}}', /no user "nobody-here"/],
  ['a user nobody knows', 'user = "app"', /no user "app"/],
  ['a mode that is none', 'files = {"/a": {"source": "a.txt", "mode": "rw"}}', /not a mode such as "0640"/],
  ['a key that is none', 'files = {"/a": {"from": "a.txt"}}', /has the key from/],
  ['a layer without a name', 'layers = [{"files": {}}]', /has no name/],
  [
    'one path in two layers',
    'layers = [{"name": "x", "files": {"/a": "b.txt"}}], files = {"/a": "a.txt"}',
    /two layers claim the path \/a: files x, files/,
  ],
  ['a signal that is none', 'stop_signal = "TERM; rm"', /not a signal such as SIGTERM/],
  ['a port that is none', 'ports = ["http"]', /not a port such as 8080\/tcp/],
  ['a volume that is none', 'volumes = ["data"]', /not an absolute path/],
  ['a health check without a command', 'healthcheck = {"interval": "1s"}', /healthcheck has no cmd/],
  ['a time that is none', 'healthcheck = {"cmd": "x", "interval": "soon"}', /not a time such as 30s/],
  ['a name that removes files', 'files = {"/x/.wh.etc": "a.txt"}', /layers use to remove files/],
  [
    'a member who is no user',
    'groups = {"ops": {"gid": 1500, "members": ["eve"]}}',
    /eve, a member of the group ops, is no user/,
  ],
  ['a certificate that is none', 'certificates = ["a.txt"]', /a.txt holds no certificate/],
];
it.each(mistakes)('%s is an error', async (_, argument, message) => {
  const workspace = await imageWorkspace({ 'p/BUILD': `docker_image(name = "image", ${argument})`, ...texts });
  await expect(workspace.layout('//p:image')).rejects.toThrow(message);
});

it('several architectures are one index, each with what stands behind a label for it', async () => {
  const workspace = await imageWorkspace({
    'p/BUILD': `
genrule(name = "here", outs = ["here.txt"], cmd = "echo for here > $OUT", provides = {"linux_s390x": [":there"]})
genrule(name = "there", outs = ["there.txt"], cmd = "echo for s390x > $OUT")
docker_image(name = "base", architectures = ["s390x", "riscv64"], files = {"/base": "a.txt"})
docker_image(
    name = "image", architectures = ["s390x", "riscv64"], base_image = ":base",
    files = {"/app/own": ":here", "/app/a": "a.txt"}, entrypoint = ["/app/own"],
)
`,
    ...texts,
  });
  const builder = await workspace.builder('//p:all');
  expect(builder.imageLabels()).toEqual(['//p:base', '//p:image']);
  const [image] = await builder.images(['//p:image']);
  const { images, digest, tag } = await readLayout(image!.layout);
  expect([image!.digest, image!.tag, image!.repository]).toEqual([digest, tag, 'p/image'.replace('/image', '')]);
  const seen = images.map(({ configuration, layers, layout }) => [
    configuration.architecture,
    execFileSync('tar', ['-xOf', join(layout, 'blobs/sha256', hexOf(layers.at(-1)!.digest)), 'app/own'], {
      encoding: 'utf8',
    }),
    configuration.history.map(({ created_by }) => created_by),
  ]);
  const history = ['accounts and folders', 'files', 'files'];
  expect(seen).toEqual([
    ['riscv64', 'for here\n', history],
    ['s390x', 'for s390x\n', history],
  ]);
  await workspace.write({ 'q/BUILD': 'docker_image(name = "image", architectures = ["vax"])' });
  await expect(workspace.layout('//q:image')).rejects.toThrow(/"vax" is no architecture/);
});

it('a package of another architecture than the image is an error, not a broken image', async () => {
  const workspace = await imageWorkspace({
    'deb/DEBIAN/control':
      'Package: liba\nVersion: 1.0\nArchitecture: s390x\nMaintainer: x <x@example.org>\nDescription: x\n',
  });
  const deb = join(workspace.root, 'liba.deb');
  execFileSync('dpkg-deb', ['--root-owner-group', '--build', join(workspace.root, 'deb'), deb], { stdio: 'ignore' });
  const content = await readFile(deb);
  const sha256 = createHash('sha256').update(content).digest('hex');
  await mkdir(join(process.env.BANKSMAN_CACHE!, 'debian'), { recursive: true });
  await writeFile(join(process.env.BANKSMAN_CACHE!, 'debian', `${sha256}.deb`), content);
  const packages = { liba: { version: '1.0', architecture: 's390x', sha256, size: content.length, depends: [] } };
  const lock = { format: 1, suite: 'bookworm', architecture: 's390x', requested: ['liba'], exclude: [], packages };
  await workspace.write({
    'd/BUILD': 'debian_packages(name = "debian", suite = "bookworm", packages = ["liba"], visibility = ["PUBLIC"])',
    'd/debian.lock.json': JSON.stringify(lock),
    'p/BUILD': `
docker_image(name = "fits", architectures = ["s390x"], packages = ["//d:liba"])
docker_image(name = "image", architectures = ["riscv64"], packages = ["//d:liba"])`,
  });
  expect(
    (await installedPackages((await readLayout(await workspace.layout('//p:fits'))).images[0]!)).map(
      ({ name }) => name,
    ),
  ).toEqual(['liba']);
  await expect(workspace.layout('//p:image')).rejects.toThrow(
    /is for riscv64, the package liba that is locked is for s390x/,
  );
});

it('tags are short, or long where the rule or the workspace asks for it; the image is the same', async () => {
  const rule = (name: string, more: string) => `docker_image(name = "${name}", files = {"/a": "a.txt"}${more})\n`;
  const workspace = await imageWorkspace({
    'p/BUILD': rule('short', '') + rule('long', ', long_tag = True'),
    ...texts,
  });
  const images = async () => {
    const builder = await workspace.builder();
    return builder.images(builder.imageLabels());
  };
  const [short, long] = await images();
  expect(long?.tag).toMatch(/^[0-9a-f]{64}$/);
  expect(short?.tag).toBe(long?.tag.slice(0, 12));
  expect(short?.digest).toBe(long?.digest);
  await workspace.write({ 'banksman.yaml': 'name: test\nimages: { tags: long }\n' });
  expect((await images()).map(({ tag }) => tag)).toEqual([long?.tag, long?.tag]);
  await workspace.write({ 'banksman.yaml': 'name: test\nimages: { tags: medium }\n' });
  await expect(images()).rejects.toThrow(/short or long/);
});

it('a tag that names another content on this machine is refused', async () => {
  const workspace = await imageWorkspace({
    'p/BUILD': 'docker_image(name = "image", files = {"/a": "a.txt"})',
    ...texts,
  });
  const builder = await workspace.builder();
  const [image] = await builder.images();
  await writeFile(join(process.env.BANKSMAN_CACHE!, 'blobs/tags', image!.tag), `${image!.tag}${'0'.repeat(52)}`);
  await expect(builder.images()).rejects.toMatchObject({ code: 'image/tag-clash' });
});
