import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createBuilder, languageActions } from '../../src/build/index.ts';
import { isFault } from '../../src/fault/index.ts';
import { type Graph, type Label, loadGraph, openWorkspace, type Target } from '../../src/graph/index.ts';
import { silent } from '../../src/progress/index.ts';
import { ruleFiles } from '../../src/rules/index.ts';

type Files = Readonly<Record<string, string>>;

interface Made {
  readonly root: string;
  load(): Promise<Graph>;
  /** Builds a target. @returns its outputs: path relative to the output folder, and where the file lies */
  build(label: Label): Promise<ReadonlyMap<string, string>>;
}

/** A repository in a temporary folder; without a `banksman.yaml` among the files it is Please's. */
function make(files: Files): Made {
  const base = mkdtempSync(join(tmpdir(), 'banksman-rules-'));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  const root = join(base, 'workspace');
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const load = async () => loadGraph(await openWorkspace(root), { ruleFiles: ruleFiles() });
  return {
    root,
    load,
    async build(label) {
      const builder = await createBuilder({
        graph: await load(),
        builtins: languageActions,
        progress: silent,
        cacheFolder: join(base, 'cache'),
        jobs: 2,
      });
      const { targets } = await builder.build([label]);
      return new Map((targets.get(label)?.outputs ?? []).map(({ path, absolute }) => [path, absolute]));
    },
  };
}

async function targetOf(build: string, name = 'x', files: Files = {}): Promise<Target | undefined> {
  const graph = await make({ 'banksman.yaml': 'name: test\n', 'p/BUILD': build, ...files }).load();
  return graph.targets.get(`//p:${name}`);
}

async function messageOf(body: () => Promise<unknown>): Promise<string> {
  try {
    await body();
  } catch (error) {
    if (isFault(error))
      return [error.message, ...error.notes, ...error.others.map(({ message }) => message)].join('\n');
    throw error;
  }
  throw new Error('no fault');
}

describe('configuration', () => {
  const settings = `
config_setting(name = "linux", values = {"os": "linux"})
config_setting(name = "elsewhere", values = {"os": "plan9"})
config_setting(name = "slow", values = {"os": "linux", "shop.speed": "slow"})
`;
  it('settings choose among values', async () => {
    const chosen = async (config: string) => {
      const made = await targetOf(
        `${settings}genrule(name = "x", out = "x", cmd = select({":slow": "slowly", ":elsewhere": "there", "default": "here"}))`,
        'x',
        { 'banksman.yaml': `name: test\n${config}` },
      );
      return made?.action.kind === 'shell' ? made.action.command : undefined;
    };
    expect(await chosen('')).toBe('here');
    expect(await chosen('config: { shop: { speed: slow } }\n')).toBe('slowly');
  });

  it('platforms and checks', async () => {
    const made = await targetOf(
      'text_file(name = "x", content = str([is_platform(os = "linux"), is_platform(os = ["plan9", "darwin"])]))',
    );
    expect(made?.action).toMatchObject({ content: '[True False]' });
    expect(await messageOf(() => targetOf('check_config("import-path", "go", rule = "go_x")'))).toContain(
      'go.import-path is not set',
    );
  });
});

describe('rules of Please', () => {
  it('genrule takes all that it takes there', async () => {
    const made = await targetOf(
      `
genrule(name = "lib", out = "lib", cmd = "touch $OUT")
genrule(
    name = "x", srcs = ["f", ":lib"], cmd = {"opt": ["a", "b"], "dbg": "c"}, outs = ["bin/x"], tools = "bash", tags = ["t"],
    runtime_deps_from_srcs = True, entry_points = {"main": "bin/x"}, local = True, sandbox = None,
)`,
      'x',
      { 'p/f': '' },
    );
    expect(made).toMatchObject({
      action: { command: 'a && b' },
      labels: ['t'],
      data: { all: [{ kind: 'label', label: '//p:lib' }] },
      entryPoints: { main: 'bin/x' },
      sandbox: true,
    });
    for (const argument of ['output_dirs = ["d"]', 'optional_outs = ["o"]', 'secrets = ["/x"]']) {
      const key = argument.split(' ')[0]!.replace(/_(.)/, (_, letter: string) => letter.toUpperCase());
      expect(await targetOf(`genrule(name = "x", cmd = "", out = "x", ${argument})`)).toHaveProperty(key);
    }
  });

  it('tarball gives the same bytes for the same files', async () => {
    const files = {
      'banksman.yaml': 'name: test\n',
      'p/BUILD': `
tarball(name = "flat", srcs = ["a.txt", "d/b.txt"], subdir = "top/in")
tarball(name = "deep", srcs = ["d/b.txt"], flatten = False, strip_prefix = "p", gzip = False)
`,
      'p/a.txt': 'a',
      'p/d/b.txt': 'b',
    };
    const listed = (file: string) => execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).trim().split('\n');
    const first = await make(files).build('//p:flat');
    const second = await make(files).build('//p:flat');
    const [one, two] = [[...first.values()][0]!, [...second.values()][0]!];
    expect([...first.keys()].join()).toMatch(/flat\.tar\.gz$/);
    expect(readFileSync(one).equals(readFileSync(two))).toBe(true);
    expect(listed(one)).toEqual(['top/', 'top/in/', 'top/in/a.txt', 'top/in/b.txt']);
    const deep = await make(files).build('//p:deep');
    expect(listed([...deep.values()][0]!)).toEqual(['d/', 'd/b.txt']);
  });

  it('hash_filegroup names files by their content', async () => {
    const digest = createHash('sha256').update('let x').digest('hex').slice(0, 12);
    const built = await make({
      'banksman.yaml': 'name: test\n',
      'p/BUILD': 'hash_filegroup(name = "x", srcs = ["s/app.js"])',
      'p/s/app.js': 'let x',
    }).build('//p:x');
    const [[path, file] = ['', '']] = built;
    expect(path).toMatch(new RegExp(`p/s/app-${digest}\\.js$`));
    expect(readFileSync(file, 'utf8')).toBe('let x');
  });

  it('go_toolchain gives a Go to commands; what it and others can not do is said when it is asked for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'banksman-go-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(join(folder, 'go/bin'), { recursive: true });
    writeFileSync(join(folder, 'go/bin/go'), '#!/bin/sh\necho made $1\n', { mode: 0o755 });
    const archive = execFileSync('tar', ['-cz', '-C', folder, 'go']);
    const server = createServer((_, response) => response.end(archive)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/go.tar.gz`;
    const made = make({
      'banksman.yaml': 'name: test\n',
      BUILD: `
go_toolchain(name = "toolchain", url = {f"{CONFIG.OS}-{CONFIG.ARCH}": "${url}"}, hashes = ["${createHash('sha256').update(archive).digest('hex')}"])
genrule(name = "said", tools = [":toolchain|go"], cmd = "$TOOL version > $OUT", out = "said.txt")
`,
    });
    expect(readFileSync([...(await made.build('//:said')).values()][0]!, 'utf8')).toBe('made version\n');
    const refused = {
      'go_test(name = "x", srcs = ["x_test.go"], worker = "//:w")': 'the argument worker is not supported',
      'go_test_main(name = "x", srcs = ["x.go"])': 'use go_test, or go_benchmark',
      'sh_test(name = "x", worker = "//:w")': 'worker is not supported',
      'python_test(name = "x", srcs = ["x.py"], test_runner = "behave")': 'the test runner behave is not supported',
      'python_library(name = "x", srcs = ["x.py"], strip = True)': 'give it to the python_binary',
      'java_binary(name = "x", main_class = "a.B", self_executable = False, jvm_args = "-Xmx1m")':
        'jvm_args are for a jar that runs by itself',
      'maven_jar(name = "x", id = "a:b:1", filename = "c.jar")': 'the argument filename is not supported',
      'go_repo(module = "a.b/c")': 'needs either version or download',
    };
    for (const [call, words] of Object.entries(refused)) expect(await messageOf(() => targetOf(call))).toContain(words);
  });

  it('sh_cmd makes a program of a command', async () => {
    const built = await make({
      'banksman.yaml': 'name: test\n',
      'p/BUILD': 'sh_cmd(name = "x", cmd = "echo at $PKG, \\\\$1")',
    }).build('//p:x');
    expect(execFileSync([...built.values()][0]!, ['one'], { encoding: 'utf8' })).toBe('at p, one\n');
  });

  it('remote_file fetches and checks, unpacks, and says what it could not have', async () => {
    const archive = execFileSync('tar', ['-cz', '-C', join(import.meta.dirname, '../..'), 'LICENSE', 'package.json']);
    const server = createServer((request, response) => {
      if (request.url?.startsWith('/x.tar.gz')) response.end(archive);
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    onTestFinished(() => void server.close());
    const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const digest = createHash('sha256').update(archive).digest('hex');
    const made = make({
      'banksman.yaml': 'name: test\n',
      BUILD: `
remote_file(name = "good", url = ["${at}/missing", "${at}/x.tar.gz?v=1"], hashes = ["${digest}"], out = "x.tar.gz")
remote_file(name = "wrong", url = "${at}/x.tar.gz", hashes = ["${'0'.repeat(64)}"], out = "w")
remote_file(name = "unpacked", url = "${at}/x.tar.gz", extract = True, exported_files = ["LICENSE"])
remote_file(name = "missing", url = "${at}/missing", out = "m")
http_archive(name = "lib", urls = ["${at}/x.tar.gz"])
new_http_archive(name = "built", urls = ["${at}/x.tar.gz"], build_file_content = "x = 1")
`,
    });
    const [built] = (await made.build('//:built')).values();
    expect(readFileSync(`${built}/BUILD`, 'utf8')).toContain('x = 1');
    expect(readFileSync(`${built}/LICENSE`, 'utf8')).toContain('Apache License');
    const good = await made.build('//:good');
    expect(readFileSync([...good.values()][0]!).equals(archive)).toBe(true);
    const unpacked = await made.build('//:unpacked');
    expect(readFileSync([...unpacked.values()][0]!, 'utf8')).toContain('Apache License');
    expect(await messageOf(() => made.build('//:wrong'))).toContain('wrong');
    expect(await messageOf(() => made.build('//:missing'))).toContain('missing could not be fetched');
    expect((await made.load()).targets.has('//:lib')).toBe(true);
  });

  /** Each argument of docker_image of Please's plugin: a value, and what of the target differs by it; nothing where it says nothing of the image. */
  it.each<
    [
      argument: string,
      differs: Partial<Record<'config' | 'srcs' | 'deps' | 'labels' | 'visibility' | 'testOnly' | 'passEnv', unknown>>,
    ]
  >([
    ['srcs = ["a.txt"]', { srcs: 'p/a.txt' }],
    ['image = "shop/x"', { config: '"repo":"shop/x"' }],
    ['version = "1.2"', {}],
    ['dockerfile = "Other"', { srcs: 'p/Other' }],
    ['base_image = ":base"', { config: '//p:base', deps: '//p:base' }],
    ['repo = "shop"', { config: '"repo":"shop"' }],
    ['image = "x", repo = "shop"', { config: '"repo":"shop/x"' }],
    ['labels = ["red"]', { labels: 'red' }],
    ['pass_env = ["VERSION"]', { passEnv: 'VERSION' }],
    ['run_args = "-p 80:80"', {}],
    ['test_only = True', { testOnly: 'true' }],
    ['visibility = ["PUBLIC"]', { visibility: 'PUBLIC' }],
    ['build_args = "--build-arg A=b"', { config: '--build-arg A=b' }],
    ['container_args = "--port 80"', {}],
  ])("docker_image takes Please's %s", async (argument, differs) => {
    const own = argument.startsWith('dockerfile') ? '' : 'dockerfile = "Dockerfile", ';
    const files = { 'p/Dockerfile': 'FROM scratch\n', 'p/Other': 'FROM scratch\n', 'p/a.txt': '' };
    const of = async (text: string) => {
      const build = `docker_image(name = "base", dockerfile = "Dockerfile")\ndocker_image(name = "x", ${text})`;
      const { targets } = await make({ 'banksman.yaml': 'name: test\n', 'p/BUILD': build, ...files }).load();
      const target = targets.get('//p:x')!;
      const { srcs, deps, labels, visibility, testOnly, passEnv } = target;
      const config = target.action.kind === 'builtin' ? target.action.config : null;
      return { config, srcs, deps, labels, visibility, testOnly, passEnv };
    };
    const [plain, given] = [await of('dockerfile = "Dockerfile"'), await of(own + argument)];
    for (const key of Object.keys(plain) as (keyof typeof plain)[]) {
      const [before, after] = [JSON.stringify(plain[key]), JSON.stringify(given[key])];
      if (differs[key] !== undefined) expect(after, key).toContain(differs[key]);
      if (differs[key] !== undefined) expect(before, key).not.toContain(differs[key]);
      else if (key !== 'srcs' && key !== 'config') expect(after, key).toBe(before);
      else if (Object.keys(differs).length === 0) expect(after, key).toBe(before);
    }
  });

  it('docker_image with a Dockerfile is in the graph with all that it reads', async () => {
    const made = make({
      'banksman.yaml': 'name: test\n',
      'p/BUILD':
        'docker_image(name = "image", srcs = ["app.sh"], dockerfile = "Dockerfile", base_image = ":base", base_images = [":tools"])\ndocker_image(name = "base", srcs = ["app.sh"], dockerfile = "Dockerfile.base", image = "shop/base")\ndocker_image(name = "tools", dockerfile = ":made", context = "//")\ngenrule(name = "made", out = "made.Dockerfile", cmd = "echo FROM scratch > $OUT")',
      'p/app.sh': '',
      'p/Dockerfile': 'FROM //p:base',
      'p/Dockerfile.base': 'FROM scratch',
      'p/Dockerfile.base.dockerignore': '*.md',
      'p/.dockerignore': '*.txt',
    });
    const { targets } = await made.load();
    expect(targets.get('//p:image')).toMatchObject({
      deps: ['//p:base', '//p:tools'],
      srcs: {
        named: {
          srcs: [{ path: 'p/app.sh' }],
          dockerfile: [{ path: 'p/Dockerfile' }],
          ignore: [{ path: 'p/.dockerignore' }],
        },
      },
      action: { kind: 'builtin', name: 'image', config: { base_images: ['//p:base', '//p:tools'] } },
    });
    expect(targets.get('//p:base')).toMatchObject({
      srcs: { named: { ignore: [{ path: 'p/Dockerfile.base.dockerignore' }, { path: 'p/.dockerignore' }] } },
      action: { config: { repo: 'shop/base' } },
    });
    expect(targets.get('//p:tools')).toMatchObject({
      srcs: { named: { dockerfile: [{ label: '//p:made' }] } },
      action: { config: { dockerfile: '//p:made', context: '//' } },
    });
  });

  it('k8s_config fills in its parameters', async () => {
    const open = '$' + '{';
    const made = make({
      'banksman.yaml': 'name: test\n',
      'p/BUILD': 'k8s_config(name = "k8s", srcs = ["d.yaml"], params = {"REPLICAS": 3})',
      'p/d.yaml': `replicas: ${open}REPLICAS}\nother: ${open}OTHER}\n`,
    });
    const built = await made.build('//p:_k8s#params');
    expect(readFileSync([...built.values()][0]!, 'utf8')).toBe(`replicas: 3\nother: ${open}OTHER}\n`);
  });
});

/** A repository as people who use Please keep it: its settings, plugins, rules of its own, many packages. */
function pleaseRepository(services: number): Files {
  const files: Record<string, string> = {
    '.plzconfig': `
[please]
version = 17.8.0
[parse]
buildfilename = BUILD
buildfilename = BUILD.plz
preloadsubincludes = //build/defs:service
blacklistdirs = node_modules
[build]
path = /usr/local/bin:/usr/bin:/bin
passenv = HOME
[buildconfig]
registry = registry.example.com
[Plugin "go"]
Target = //plugins:go
ImportPath = example.com/shop
GoTool = //third_party/go:toolchain|go
Stdlib = //third_party/go:std
ModFile = //:gomod
BuildTags = netgo
CgoEnabled = false
[Plugin "java"]
Target = //plugins:java
ReleaseLevel = 17
[Plugin "python"]
Target = //plugins:python
[Plugin "docker"]
Target = //plugins:docker
[alias "deploy"]
cmd = run parallel
`,
    'plugins/BUILD': ['go', 'java', 'python', 'shell', 'docker', 'k8s']
      .map((name) => `plugin_repo(name = "${name}", plugin = "${name}-rules", revision = "v1.2.3")`)
      .join('\n'),
    'build/defs/BUILD': `
filegroup(name = "service", srcs = ["service.build_defs"], visibility = ["PUBLIC"])
filegroup(name = "more", srcs = ["more.build_defs"], deps = [":service"], visibility = ["//services/..."])
`,
    'build/defs/service.build_defs': `
def service(name:str, main:str="main.go", deps:list=[], owner:str&team=None, port:int=8080):
    """A program in Go, its image and its manifests."""
    package_dir = package_name()
    binary = go_binary(name = name, srcs = [main], deps = deps, definitions = {"main.port": str(port)})
    image = docker_image(
        name = f"{name}_image", srcs = [binary], dockerfile = "//build/docker:base.Dockerfile",
        image = f"{CONFIG.REGISTRY}/{package_dir}", labels = ["team:" + (owner or "nobody")],
    )
    return k8s_config(name = f"{name}_k8s", srcs = glob(["k8s/*.yaml"], allow_empty = True) or ["service.yaml"], containers = [image])
`,
    'build/defs/more.build_defs': `
def checked(name:str, srcs:list, flaky:bool|int=False):
    """Checks files by their own rules."""
    tests = []
    for i, src in enumerate(srcs):
        stem, ext = splitext(basename(src))
        if not ext in [".txt", ".md"]:
            continue
        tests += [gentest(
            name = tag(name, stem), data = [src], no_test_output = True, flaky = flaky,
            test_cmd = f"test -s $PKG_DIR/{src} && echo {i}",
        )]
    return filegroup(name = name, srcs = tests, test_only = True)
`,
    'build/docker/BUILD': 'exports_files(["base.Dockerfile"])',
    'build/docker/base.Dockerfile': 'FROM scratch\n',
    'vendor/legacy/BUILD':
      'genrule(name = "legacy", out = "l.txt", cmd = "echo $PKG > $OUT", deps = ["//inner"], visibility = ["PUBLIC"])',
    'vendor/legacy/inner/BUILD': 'text_file(name = "inner", content = subrepo_name(), visibility = ["//..."])',
    'third_party/BUILD':
      'package(default_visibility = ["PUBLIC"])\nlocal_repository(name = "legacy", path = "vendor/legacy")',
    'third_party/java/BUILD': `
maven_jar(name = "junit", id = "junit:junit:4.13", hash = "sha256: ${'1'.repeat(64)}", licences = ["EPL"], visibility = ["PUBLIC"])
maven_jar(name = "guava", id = "com.google.guava:guava:33.0.0-jre")
java_toolchain(name = "jdk", jdk_url = {"linux": "https://example.com/jdk.tar.gz"}, hashes = ["${'2'.repeat(64)}"])
`,
    BUILD: 'filegroup(name = "gomod", srcs = ["go.mod"])',
    'go.mod': 'module example.com/shop\n\nrequire github.com/google/uuid v1.6.0\n',
    'third_party/go/BUILD': `
package(default_visibility = ["PUBLIC"])

go_toolchain(name = "toolchain", version = "1.22.3", hashes = ["${'3'.repeat(64)}"])
go_stdlib(name = "std")

go_repo(licences = ["BSD-3-Clause"], module = "github.com/google/uuid", version = "v1.6.0")
go_repo(module = "github.com/stretchr/testify", version = "v1.9.0", install = ["assert", "..."], name = "testify")
go_mod_download(name = "fork", module = "github.com/shop/yaml", version = "v3.0.1")
go_repo(module = "gopkg.in/yaml.v3", download = ":fork", strip = ["tests"])
go_module(name = "spew", module = "github.com/davecgh/go-spew", version = "v1.1.1", install = ["spew"], hashes = ["${'4'.repeat(64)}"])
go_module(name = "lint", module = "golang.org/x/lint", version = "v0.0.1", install = ["golint"], binary = True, deps = [":spew"])
`,
    'third_party/python/BUILD': `
package(default_visibility = ["PUBLIC"])

pip_library(name = "six", version = "1.16.0", hashes = ["sha256: ${'5'.repeat(64)}"], licences = ["MIT"], zip_safe = False)
pip_library(name = "idna", version = "3.7")
pip_library(name = "requests", version = "2.31.0", deps = [":six"], test_only = False)
python_wheel(name = "protobuf", package_name = "google", version = "4.25.1", outs = ["google"], repo = "https://example.com", hashes = ["${'6'.repeat(64)}"], entry_points = {"protoc": "google.main:main"})
`,
    'lib/go/BUILD': `
subinclude("///go//build_defs:cgo")

go_library(name = "lib", srcs = ["lib.go"], deps = ["///third_party/go/github.com_google_uuid//:uuid", "//third_party/go:testify"])
cgo_library(name = "native", srcs = ["native.go"], go_srcs = ["lib.go"], c_srcs = ["n.c"], hdrs = ["n.h"], linker_flags = ["-lm"])
go_test(name = "test", srcs = ["lib_test.go"], deps = [":lib", "///third_party/go/github.com_stretchr_testify//assert", "//third_party/go:spew"], external = True)
go_benchmark(name = "bench", srcs = ["lib_test.go"], deps = [":lib"])
python_test(name = "py", srcs = ["lib_test.py"], deps = ["//third_party/python:requests", "//third_party/python:protobuf"], test_runner = "pytest")
genrule(name = "linted", tools = ["//third_party/go:lint", "//third_party/go:toolchain|go"], cmd = "$TOOLS > $OUT", out = "lint.txt")
`,
    'lib/go/lib.go': 'package lib\n',
    'lib/go/lib_test.go': 'package lib_test\n',
    'lib/go/native.go': 'package lib\n\nimport "C"\n',
    'lib/go/n.c': '',
    'lib/go/n.h': '',
    'lib/go/lib_test.py': '',
    'lib/java/BUILD': `
java_library(name = "core", src_dir = "src", deps = ["//third_party/java:junit"], javacopts = ["-Xlint"], visibility = ["PUBLIC"])
java_test(name = "core_test", srcs = ["CoreTest.java"], deps = [":core"], jvm_args = "-Xmx64m", size = "small")
java_binary(name = "tool", main_class = "shop.Tool", deps = [":core"], out = "tool.jar")
`,
    'lib/java/src/shop/Core.java': 'package shop; class Core {}',
    'lib/java/CoreTest.java': 'class CoreTest {}',
    'lib/py/BUILD.plz': `
package(default_visibility = ["PUBLIC"])

python_library(name = "lib", srcs = glob(["**/*.py"], exclude = ["*_test.py"]), zip_safe = True)
python_test(name = "lib_test", srcs = glob(["*_test.py"]), deps = [":lib"], flags = "-v", timeout = 30)
python_binary(name = "main", main = "main.py", deps = [":lib"], out = "main.pex")
`,
    'lib/every/BUILD': `
workspace(name = "shop")
licenses(["notice"])
arch(name = "small", os = "linux", arch = "386")
if is_platform(os = CONFIG.HOSTOS):
    check_config("registry", "buildconfig")

cgo_binary(name = "cgo", go_srcs = ["m.go"], c_srcs = ["n.c"])
cgo_test(name = "cgo_test", srcs = ["m_test.go"])
go_system_toolchain(name = "go")
java_module(name = "module", srcs = ["module-info.java"])
java_runtime_image(name = "runtime", modules = [":module"], main_module = "shop", main_class = "shop.Main")
please_java_toolchain(name = "jdk", jdk_url = "https://example.com/jdk.tar.gz", hashes = ["${'8'.repeat(64)}"])
python_multiversion_wheel(name = "wheels", version = "1.0", urls = ["https://example.com/a-1.0-py3-none-any.whl"], hashes = ["${'9'.repeat(64)}"])
export_file(name = "notes", src = "notes.md", visibility = ["PUBLIC"])
hash_filegroup(name = "hashed", srcs = ["notes.md", "m.go"])
system_library(name = "hosts", srcs = ["/etc/hosts"], hashes = ["${'a'.repeat(64)}"])
tarball(name = "tar", srcs = [":notes", ":hashed"], gzip = True)
sh_library(name = "shell", src = "lib.sh")
sh_cmd(name = "show", cmd = "ls $(out_dir :hashed)", deps = [":hashed"])
sh_binary(name = "run", main = "lib.sh", deps = [":shell"])
sh_test(name = "run_test", src = "lib.sh", data = [":run"])
remote_file(name = "fetched", url = "https://example.com/f.txt", hashes = ["sha1: ${'b'.repeat(40)}", "blake3: ${'b'.repeat(64)}"])
local_repository(name = "near", path = "vendor/near")
new_local_repository(name = "near_too", path = "vendor/near2")
http_archive(name = "far", urls = ["https://example.com/a.zip"], hashes = ["${'c'.repeat(64)}"])
new_http_archive(name = "far_too", urls = ["https://example.com/b.tgz"], build_file_content = "", hashes = ["${'c'.repeat(64)}"])
github_repo(name = "hub", repo = "shop/tool", revision = "v1", hashes = ["${'d'.repeat(64)}"])
gitlab_repo(name = "lab", repo = "shop/tool", revision = "v1", hashes = ["${'d'.repeat(64)}"])

filegroup(name = "parts", srcs = {"text": [":notes"], "code": ["m.go", ":hashed"]}, entry_points = {"main": "m.go"})
build_rule(
    name = "narrow", srcs = [":parts|code"], data = {"t": [":parts|text"]}, outs = {"a": ["z", "b"], "c": ["y"]}, tools = {"t": [":run"]},
    cmd = {"opt": "ls $SRCS > b; cp b $OUTS_C; cp b z", "dbg": "touch $OUTS"}, env = {"KIND": "$NAME"}, pass_env = ["LANG"],
    secrets = ["~/.shop"], optional_outs = ["*.log"], output_dirs = ["_more"], requires = ["text"], size = "small",
    pre_build = lambda name: add_label(name, "seen"), post_build = lambda name, output: [add_out(name, line) for line in output if line],
)
build_rule(name = "either", cmd = "true", provides = {"text": ":notes"}, exported_deps = [":shell"], internal_deps = [":run"])
build_rule(name = "not_a_test", cmd = "true", test_cmd = "false", flaky = 2, test_outputs = ["x"])
genrule(name = "here", srcs = [f"///{CONFIG.HOSTOS}_{CONFIG.HOSTARCH}//lib/every:notes", ":either"], cmd = "cat $SRCS > $OUT", out = "here")
[text_file(name = f"n{i}", content = "" if isinstance(range(i), list) else str(i)) for i in range(2)]
`,
    'lib/every/m.go': 'package main\n\nimport "C"\n\nfunc main() {}\n',
    'lib/every/m_test.go': 'package main\n',
    'lib/every/n.c': '',
    'lib/every/module-info.java': 'module shop {}',
    'lib/every/notes.md': 'x\n',
    'lib/every/lib.sh': '#!/bin/sh\n',
    'vendor/near/BUILD': '',
    'vendor/near2/BUILD': '',
    'lib/py/main.py': '',
    'lib/py/a/b.py': '',
    'lib/py/lib_test.py': '',
  };
  for (let index = 0; index < services; index++) {
    const folder = `services/group${index % 7}/service${index}`;
    files[`${folder}/BUILD`] = `
subinclude("///go//build_defs:go", "//build/defs:more")

config_setting(name = "mac", values = {"os": "darwin"})

go_library(
    name = "lib",
    srcs = glob(["*.go"], exclude = ["*_test.go", "main.go"]),
    deps = ${index > 0 ? `["//services/group${(index - 1) % 7}/service${index - 1}:lib"]` : '[]'},
    visibility = ["//services/..."],
)

go_test(
    name = "test",
    srcs = glob(["*_test.go"]),
    deps = [":lib"],
    data = select({":mac": [], "default": ["data.txt"]}),
    flaky = ${index % 5 === 0 ? 'True' : '2'},
)

service(name = "service", deps = [":lib"], team = "team${index % 3}", port = 8000 + ${index})

checked(name = "checks", srcs = ["data.txt", "notes.md", "k8s/d.yaml"], flaky = True)

# What old programs still want.
[genrule(
    name = f"old_{kind}",
    srcs = {"data": ["data.txt"], "legacy": ["@third_party/legacy//:legacy"]},
    outs = [f"{kind}/{suffix}.txt" for suffix in ["a", "b"] if suffix != kind],
    cmd = "for out in $OUTS; do cat $SRCS_DATA $SRCS_LEGACY > $out; done",
    labels = ["old", "kind:" + kind],
) for kind in ["a", "c"]]

if is_semver("1.${index}.0") and semver_check("1.${index}.0", ">=1.10"):
    add_label("old_a", "recent")
`;
    files[`${folder}/main.go`] = 'package main\nfunc main() {}\n';
    files[`${folder}/lib.go`] = 'package service\n';
    files[`${folder}/lib_test.go`] = 'package service\n';
    files[`${folder}/data.txt`] = 'x\n';
    files[`${folder}/notes.md`] = 'x\n';
    files[`${folder}/k8s/d.yaml`] = 'kind: List\n';
  }
  return files;
}

describe('a larger repository of Please', () => {
  it('loads as it is', async () => {
    const services = 300;
    const { targets, packages, workspace } = await make(pleaseRepository(services)).load();
    expect(workspace.please?.plugins.go?.target).toBe('//plugins:go');
    // Each service: condition, library, test, program, image, manifests, checks with two tests, two old rules.
    expect(targets.size).toBeGreaterThan(services * 11);
    expect(packages.size).toBe(services + 16);
    expect(targets.get('//lib/go:lib')).toMatchObject({
      // What no lock has packages of stands for all of them.
      deps: ['//third_party/go:github.com_google_uuid', '//third_party/go:testify'],
      action: { config: { tags: ['netgo'], import_path: 'example.com/shop/lib/go' } },
    });
    expect(targets.get('//lib/go:test')?.deps).toEqual([
      '//lib/go:lib',
      '//third_party/go:testify',
      '//third_party/go:spew',
    ]);
    expect(targets.get('//lib/go:test')?.labels).toContain('external');
    expect(targets.get('//services/group3/service17:lib')).toMatchObject({
      rule: 'go_library',
      deps: ['//services/group2/service16:lib'],
      action: { name: 'go_library', config: { import_path: 'example.com/shop/services/group3/service17' } },
      passEnv: ['HOME'],
    });
    expect(targets.get('//services/group3/service17:service_image')).toMatchObject({
      rule: 'service',
      labels: ['team:team2', 'dockerfile', 'image'],
      action: { config: { repo: 'registry.example.com/services/group3/service17' } },
    });
    expect(targets.get('//services/group3/service17:old_a')).toMatchObject({
      labels: ['old', 'kind:a', 'recent'],
      outs: ['a/b.txt'],
      srcs: { named: { legacy: [{ label: '//vendor/legacy:legacy' }] } },
    });
    expect(targets.get('//services/group2/service2:old_a')?.labels).toEqual(['old', 'kind:a']);
    expect(targets.get('//services/group3/service17:_checks#notes')?.test).toMatchObject({
      attempts: 3,
      noOutput: true,
    });
    expect(targets.get('//vendor/legacy/inner:inner')?.action).toMatchObject({ content: 'third_party/legacy' });
    expect(targets.get('//lib/java:core')?.srcs.named.srcs).toEqual([
      { kind: 'file', path: 'lib/java/src/shop/Core.java' },
    ]);
  });

  it('uses every rule', async () => {
    // Not of Please, or nothing but a word that they are not supported.
    const others = ['debian_packages', 'npm_modules', 'java_runtime', 'go_test_main', 'merge_cgo_obj'];
    const files = pleaseRepository(1);
    const text = Object.values(files).join('\n');
    const rules = ruleFiles().flatMap(({ source }) =>
      [...source.matchAll(/^def ([a-z]\w*)\(/gm)].map(([, name]) => name!),
    );
    expect(rules.length).toBeGreaterThan(60);
    expect(rules.filter((name) => !others.includes(name) && !new RegExp(`\\b${name}\\(`).test(text))).toEqual([]);
    const { targets } = await make(files).load();
    expect(targets.get('//lib/every:narrow')).toMatchObject({ labels: expect.arrayContaining(['seen', 'small']) });
    expect(targets.get('//lib/every:here')?.srcs.all).toMatchObject([
      { label: '//lib/every:notes' },
      { label: '//lib/every:either' },
    ]);
    expect(targets.get('//lib/every:n1')?.action).toMatchObject({ content: '1' });
  });

  it('says what to lock before its libraries are built', async () => {
    const made = make(pleaseRepository(1));
    expect(await messageOf(() => made.build('//third_party/go:github.com_google_uuid'))).toContain(
      'github.com/google/uuid is not in third_party/go/go.lock.json',
    );
    expect(await messageOf(() => made.build('//third_party/python:idna'))).toContain('idna 3.7 is not in');
    expect(await messageOf(() => made.build('//third_party/java:guava'))).toContain(
      'com.google.guava:guava:33.0.0-jre is not in',
    );
  });

  it('builds what needs no compiler', async () => {
    const built = await make(pleaseRepository(3)).build('//services/group1/service1:old_c');
    expect([...built.keys()].map((path) => path.replace(/.*service1\//, ''))).toEqual(['c/a.txt', 'c/b.txt']);
  });
});

describe('docs/writing-rules.md', () => {
  const blocks = [
    ...readFileSync(join(import.meta.dirname, '../../docs/writing-rules.md'), 'utf8').matchAll(/```python\n(.*?)```/gs),
  ].map((match) => match[1]!);

  it('shows rules that work', async () => {
    const [greeting, app] = blocks;
    const linked = blocks.find((block) => block.includes('def linked('));
    const choice = blocks.find((block) => block.includes('select('));
    const made = make({
      'banksman.yaml': 'name: test\nbuild_defs: [build/linked.build_defs]\n',
      'build/greeting.build_defs': greeting!,
      'build/linked.build_defs': linked!,
      'app/BUILD': app!,
      'more/BUILD': `${choice}
linked(name = "program", deps = [":library"])
filegroup(name = "library", srcs = ["x.generic"], labels = ["ld:-lm"])`,
      'more/x.generic': '',
      'more/x.arm': '',
    });
    const built = await made.build('//app:hello');
    expect(readFileSync([...built.values()][0]!, 'utf8')).toBe('HELLO, ADA!\nHELLO, GRACE!');
    const { targets } = await made.load();
    expect(targets.get('//more:program')?.action).toMatchObject({ command: 'ld -o $OUT -lm' });
    expect(targets.get('//more:x')?.srcs.all).toMatchObject([{ path: expect.stringMatching(/^more\/x\./) }]);
  });
});

describe('a lock that is no lock', () => {
  const rules: [string, string, string][] = [
    ['maven.lock.json', 'maven_jar(name = "a", id = "g:a:1.0")', 'banksman lock maven'],
    ['python.lock.json', 'pip_library(name = "a", version = "1")', 'banksman lock python'],
    [
      'debian.lock.json',
      'debian_packages(name = "a", suite = "bookworm", packages = ["libc6"])',
      'banksman lock debian',
    ],
  ];
  it.each(rules)('%s is told of with the way out', async (file, rule, command) => {
    for (const content of ['{}', '[]', 'null']) {
      const { load } = make({ 'banksman.yaml': 'name: x\n', BUILD: rule, [file]: content });
      await expect(load()).rejects.toMatchObject({
        code: 'language/fail',
        message: expect.stringMatching(new RegExp(`${file} has no .*${command}`)),
        place: { file: 'BUILD' },
      });
    }
  });
});
