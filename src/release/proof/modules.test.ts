import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Graph, type Label, loadTargets, openWorkspace } from '../../graph/index.ts';
import { ruleFiles } from '../../rules/index.ts';
import { ingredientsOf } from './modules.ts';
import { repositoryUri } from './source.ts';

const made: string[] = [];
afterEach(async () => {
  for (const folder of made.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function graphOf(files: Readonly<Record<string, string>>): Promise<{ graph: Graph; folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-modules-'));
  made.push(folder);
  for (const [path, text] of Object.entries({ 'banksman.yaml': 'name: x\n', ...files })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  const { graph } = await loadTargets(await openWorkspace(folder), ['//...'], { ruleFiles: ruleFiles() });
  return { graph, folder };
}

const sha = 'ab'.repeat(32);
const lock = {
  format: 1,
  suite: 'bookworm',
  architecture: 'amd64',
  requested: ['libit'],
  exclude: [],
  packages: { libit: { version: '1:2.0', architecture: 'amd64', sha256: sha, size: 1, depends: [] } },
};
const workspace = {
  BUILD: `
maven_jar(name = "driver", id = "org.example:driver:1.2", sha256 = "${sha}")
maven_jar(name = "unused", id = "org.example:unused:1.0", sha256 = "${sha}")
remote_file(name = "tool", url = "https://dl.example/tool-1.0.tar.gz", hashes = ["${sha}"], licences = ["MIT"])
java_binary(name = "server", main_class = "M", srcs = ["M.java"], deps = [":driver"])
genrule(name = "made", srcs = [":tool"], outs = ["made"], cmd = "cp $SRCS $OUT", tools = [":unused"])
docker_image(name = "base", files = {"/made": ":made"})
docker_image(name = "image", base_image = ":base", files = {"/server.jar": ":server"}, packages = [":libit"])
pip_library(name = "lib", package_name = "Some_Lib", version = "3.1", hashes = ["${sha}"])
python_wheel(name = "wheel", version = "2.0", url = "https://dl.example/wheel-2.0-py3-none-any.whl", hashes = ["${sha}"])
python_binary(name = "program", main = "p.py", deps = [":lib", ":wheel"])
docker_image(name = "python", files = {"/p.pyz": ":program"})
docker_image(name = "docked", srcs = ["M.java"], dockerfile = "Dockerfile", args = {"TOOLS": "registry.example/tools:1@sha256:${'e'.repeat(64)}"})
debian_packages(name = "debian", suite = "bookworm", packages = ["libit"])
`,
  'M.java': '',
  'p.py': '',
  Dockerfile: `# FROM old@sha256:${'a'.repeat(64)}
FROM debian:12@sha256:${'d'.repeat(64)} AS base
COPY M.java /
`,
  'debian.lock.json': JSON.stringify(lock),
};

describe('what went into an image from outside', () => {
  it('is found however far it is, and tools and what is not used are left out', async () => {
    const { graph } = await graphOf(workspace);
    const found = await ingredientsOf(graph, '//:image' as Label, { built: async () => [] });
    expect(found.modules.map(({ ecosystem, name, version }) => [ecosystem, name, version])).toEqual([
      ['generic', 'tool-1.0.tar.gz', ''],
      ['maven', 'driver', '1.2'],
    ]);
    expect(found.modules[0]).toMatchObject({
      url: 'https://dl.example/tool-1.0.tar.gz',
      sha256: sha,
      licences: ['MIT'],
    });
    expect(found.bases).toEqual(['//:base']);
    expect([...found.archives]).toEqual([['libit 1:2.0 amd64', sha]]);
    expect(found.materials.map(({ uri }) => uri)).toEqual([
      'pkg:deb/debian/libit@1:2.0?arch=amd64&distro=debian-12',
      `pkg:generic/tool-1.0.tar.gz?checksum=sha256:${sha}&download_url=https:%2F%2Fdl.example%2Ftool-1.0.tar.gz`,
      'pkg:maven/org.example/driver@1.2?type=jar',
    ]);
    expect(Object.keys(found.toolchains)).toEqual(['java']);
  });

  it.each([
    [
      'its pom',
      'META-INF/maven/a/b/pom.xml',
      '<project><licenses><license>\n<name>Apache License, Version 2.0</name></license></licenses></project>',
      ['Apache License, Version 2.0'],
    ],
    [
      'its manifest',
      'META-INF/MANIFEST.MF',
      'Manifest-Version: 1.0\r\nBundle-License: BSD-2-Cl\r\n ause;link="https://x"\r\n',
      ['BSD-2-Clause'],
    ],
    ['nothing', 'a.txt', 'a', []],
  ])('has the licences that a jar states in %s', async (_, name, text, licences) => {
    const { graph, folder } = await graphOf(workspace);
    const path = join(folder, 'x.jar');
    const script = 'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "w").writestr(sys.argv[2], sys.argv[3])';
    execFileSync('python3', ['-c', script, path, name, text]);
    const jar = { path: 'x.jar', absolute: path, kind: 'file', sha256: sha, executable: false } as const;
    const found = await ingredientsOf(graph, '//:image' as Label, { built: async () => [jar] });
    expect(found.modules.find(({ name }) => name === 'driver')?.licences).toEqual(licences);
  });
});

describe('an image of', () => {
  it('a program in Python has its libraries, with what they state of licences', async () => {
    const { graph, folder } = await graphOf(workspace);
    await mkdir(join(folder, 'x.pylib/some_lib-3.1.dist-info'), { recursive: true });
    const metadata = 'Metadata-Version: 2.4\nName: Some_Lib\nLicense-Expression: MIT\n\nLicense: not this\n';
    await writeFile(join(folder, 'x.pylib/some_lib-3.1.dist-info/METADATA'), metadata);
    const library = {
      path: 'x.pylib',
      absolute: join(folder, 'x.pylib'),
      kind: 'folder',
      sha256: sha,
      executable: false,
    } as const;
    const { modules, materials } = await ingredientsOf(graph, '//:python' as Label, { built: async () => [library] });
    expect(modules).toMatchObject([
      { ecosystem: 'pypi', name: 'Some_Lib', version: '3.1', sha256: sha, licences: ['MIT'] },
      { ecosystem: 'pypi', name: 'wheel', version: '2.0', sha256: sha },
    ]);
    expect(materials.map(({ uri }) => uri)).toEqual(['pkg:pypi/some-lib@3.1', 'pkg:pypi/wheel@2.0']);
  });

  it('a program in Python has the wheel that was taken of several, or else all that it may be', async () => {
    const other = 'cd'.repeat(32);
    const { graph } = await graphOf({
      BUILD: `
pip_library(name = "lib", version = "3.1", hashes = ["${sha}", "sha256: ${other.toUpperCase()}"])
python_binary(name = "program", main = "p.py", deps = [":lib"])
docker_image(name = "python", files = {"/p.pyz": ":program"})
`,
      'p.py': '',
    });
    const asked: string[] = [];
    const taken = async ({ label }: { label: string }) => {
      asked.push(label);
      return other;
    };
    const known = await ingredientsOf(graph, '//:python' as Label, { built: async () => [], taken });
    expect(asked).toEqual(['//:lib']);
    expect(known.modules).toMatchObject([{ name: 'lib', sha256: other }]);
    expect(known.materials).toMatchObject([{ uri: 'pkg:pypi/lib@3.1', digest: { sha256: other } }]);
    const unknown = await ingredientsOf(graph, '//:python' as Label, { built: async () => [] });
    expect(unknown.modules).toMatchObject([{ name: 'lib', possible: [sha, other] }]);
    expect(unknown.modules[0]?.sha256).toBeUndefined();
  });

  it('a library that is several wheels has each of them, with its own sum and licence', async () => {
    const { graph, folder } = await graphOf({
      BUILD: `
python_multiversion_wheel(name = "many", version = "1.0", urls = ["https://dl.example/many-1.0-cp311-cp311-linux_x86_64.whl", "https://dl.example/many-1.0-cp312-cp312-linux_x86_64.whl"], hashes = ["${sha}", "${'cd'.repeat(32)}"])
python_binary(name = "program", main = "p.py", deps = [":many"])
docker_image(name = "python", files = {"/p.pyz": ":program"})
`,
      'p.py': '',
    });
    const script = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel: wheel.writestr("many-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nLicense: " + sys.argv[2] + "\\n")`;
    const wheel = async (label: string) => {
      const which = label.includes('download0') ? ['cp311', 'MIT', sha] : ['cp312', 'ISC', 'cd'.repeat(32)];
      const path = join(folder, `many-1.0-${which[0]}-${which[0]}-linux_x86_64.whl`);
      execFileSync('python3', ['-c', script, path, which[1]!]);
      return {
        path: `x/many-1.0-${which[0]}.whl`,
        absolute: path,
        kind: 'file',
        sha256: which[2]!,
        executable: false,
      } as const;
    };
    const built = async (label: Label) => (label.includes('download') ? [await wheel(label)] : []);
    const { modules, materials } = await ingredientsOf(graph, '//:python' as Label, { built });
    expect(modules).toHaveLength(1);
    expect(modules[0]).toMatchObject({
      name: 'many',
      archives: [
        { name: 'many-1.0-cp311.whl', sha256: sha, licences: ['MIT'] },
        { name: 'many-1.0-cp312.whl', sha256: 'cd'.repeat(32), licences: ['ISC'] },
      ],
    });
    expect(materials).toMatchObject([
      { uri: 'pkg:pypi/many@1.0?file_name=many-1.0-cp311.whl', digest: { sha256: sha } },
      { uri: 'pkg:pypi/many@1.0?file_name=many-1.0-cp312.whl', digest: { sha256: 'cd'.repeat(32) } },
    ]);
  });

  it('packages of npm has each once, with its sum and what its package.json states', async () => {
    const sum = createHash('sha512').update('a').digest();
    const integrity = `sha512-${sum.toString('base64')}`;
    const { graph, folder } = await graphOf({
      BUILD: `
npm_modules(name = "node_modules")
docker_image(name = "image", files = {"/app/node_modules/": ":node_modules"})
`,
      'package-lock.json': JSON.stringify({
        lockfileVersion: 3,
        packages: {
          'node_modules/@scope/a': { version: '1.0.0', integrity },
          'node_modules/b': { version: '2.0.0', integrity },
          'node_modules/b/node_modules/@scope/a': { version: '1.0.0', integrity },
        },
      }),
      'made/@scope/a/package.json': '{"license":"MIT"}',
      'made/b/package.json': '{"licenses":[{"type":"ISC"},{"type":"Apache-2.0"}]}',
    });
    const made = { path: 'n', absolute: join(folder, 'made'), kind: 'folder', sha256: sha, executable: false } as const;
    const { modules, materials } = await ingredientsOf(graph, '//:image' as Label, { built: async () => [made] });
    expect(modules).toMatchObject([
      { ecosystem: 'npm', namespace: '@scope', name: 'a', version: '1.0.0', integrity, licences: ['MIT'] },
      { ecosystem: 'npm', namespace: '', name: 'b', licences: ['ISC', 'Apache-2.0'] },
    ]);
    expect(materials).toEqual([
      { name: 'a', uri: 'pkg:npm/%40scope/a@1.0.0', digest: { sha512: sum.toString('hex') } },
      { name: 'b', uri: 'pkg:npm/b@2.0.0', digest: { sha512: sum.toString('hex') } },
    ]);
  });

  it('a Dockerfile stands on what that names by digest, in itself and through arguments', async () => {
    const { graph } = await graphOf(workspace);
    const { materials } = await ingredientsOf(graph, '//:docked' as Label, { built: async () => [] });
    expect(materials).toEqual([
      {
        name: 'debian:12',
        uri: `pkg:oci/debian@sha256:${'d'.repeat(64)}?repository_url=debian`,
        digest: { sha256: 'd'.repeat(64) },
      },
      {
        name: 'registry.example/tools:1',
        uri: `pkg:oci/tools@sha256:${'e'.repeat(64)}?repository_url=registry.example%2Ftools`,
        digest: { sha256: 'e'.repeat(64) },
      },
    ]);
  });
});

it.each([
  ['https://git.example/bank.git', 'git+https://git.example/bank'],
  ['https://user:secret@git.example:8443/a/bank.git/', 'git+https://git.example:8443/a/bank'],
  ['git@git.example:team/bank.git', 'git+ssh://git.example/team/bank'],
  ['ssh://git@git.example/bank', 'git+ssh://git.example/bank'],
  ['/srv/git/bank.git', undefined],
  ['file:///srv/git/bank.git', undefined],
  ['../bank', undefined],
])('the clone of %s is of %s', (remote, uri) => {
  expect(repositoryUri(remote)).toBe(uri);
});
