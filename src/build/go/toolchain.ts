import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from '../../disk/index.ts';
import type { Target } from '../../graph/index.ts';
import { ProcessFault, run } from '../../process/index.ts';
import type { Progress } from '../../progress/index.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool, type Tool } from '../tool.ts';
import type { BuiltinRequest } from '../types.ts';

/** A Go with its standard library compiled: that of whoever builds, or one that is a tool of the target. */
export interface Toolchain {
  readonly go: Go;
  readonly goroot: string;
  /** What it compiles for, as GOARCH. The programs themselves are this machine's. */
  readonly architecture: string;
  /** Holds the compiled standard library and `inspect`. */
  readonly folder: string;
  /** Archives of the standard library by import path. */
  readonly standard: ReadonlyMap<string, string>;
  /** `src/build/go/inspect`, compiled. */
  readonly inspect: string;
  readonly compiler: string;
  readonly linker: string;
  readonly assembler: string;
  /** Makes Go and C of Go files that import C. */
  readonly cgo: string;
}

/** Goes up when the folder is laid out in another way. */
const format = 1;

const inspectSource = fileURLToPath(new URL('./inspect/main.go', import.meta.url));

export interface Go {
  readonly program: string;
  readonly goroot: string;
  /** `go1.26.8 linux/amd64` with the sum of the `go` program: what the compiled standard library depends on. */
  readonly compiler: string;
  readonly version: string;
}

/** What an action says of itself to have the Go that its target wants. */
export type GoRequest = Pick<BuiltinRequest, 'target' | 'tools' | 'layOutTools' | 'cacheFolder'>;

const found = new Map<string, Promise<Go>>();

/** Finds each once. */
function known(key: string, find: () => Promise<Go>): Promise<Go> {
  let go = found.get(key);
  if (go === undefined) {
    go = find();
    found.set(key, go);
    go.catch(() => found.delete(key));
  }
  return go;
}

/** The `go` on the PATH. @throws BuildFault build/tool-not-found */
function goOnPath(): Promise<Go> {
  return known('', async () => {
    const tool = await resolveTool('go');
    return describeGo(tool.realPath, tool.identity);
  });
}

/**
 * The Go that a target wants: the tool named `go`, where it has one, else the one on the PATH.
 *
 * @throws BuildFault build/tool-not-found; build/bad-config where the tool is no Go with all that belongs to it
 */
export async function goOf(request: GoRequest | undefined): Promise<Go> {
  const [tool] = request?.tools.named.go ?? [];
  const [file] = tool?.files ?? [];
  if (request === undefined || tool === undefined || file === undefined) return goOnPath();
  const { absolute, sha256, kind } = file;
  if (tool.input.kind !== 'label') return known(absolute, () => describeGo(absolute, sha256));
  const root = join(request.cacheFolder, 'go', `root-${sha256.slice(0, 32)}`);
  return known(root, async () => {
    await once(root, `${root}.lock`, async () => {
      await request.layOutTools();
      const from = kind === 'folder' ? absolute : dirname(dirname(absolute));
      const whole = await Promise.all([join('bin', 'go'), 'src', 'pkg'].map((each) => exists(join(from, each))));
      if (whole.includes(false)) {
        const named = tool.input.kind === 'label' ? tool.input.label : '';
        throw new BuildFault('build/bad-config', `${named}, which CONFIG.GO.GO_TOOL names, is no Go`, {
          place: request.target.place,
          next: 'name a go_toolchain or go_system_toolchain: //third_party/go:toolchain|go',
        });
      }
      // By itself: an action's own folder is gone after it, and what is compiled shows where its Go is.
      const made = `${root}.${randomBytes(6).toString('hex')}`;
      try {
        await cp(from, made, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
        await rename(made, root);
      } catch (error) {
        await rm(made, { recursive: true, force: true });
        throw error;
      }
    });
    return describeGo(join(root, 'bin', 'go'), sha256, root);
  });
}

/** @param own what GOROOT is, where it is known: one that says otherwise would bring in what nobody has declared */
async function describeGo(program: string, identity: string, own?: string): Promise<Go> {
  const { stdout } = await run(program, ['env', 'GOROOT', 'GOVERSION', 'GOHOSTOS', 'GOHOSTARCH'], {
    env: {
      PATH: dirname(program),
      HOME: tmpdir(),
      GOTOOLCHAIN: 'local',
      GOENV: 'off',
      GOFLAGS: '',
      ...(own !== undefined && { GOROOT: own }),
    },
    timeout: 30_000,
  });
  const [goroot = '', version = '', os, arch] = stdout.toString('utf8').trim().split('\n');
  return {
    program: join(goroot, 'bin', 'go'),
    goroot,
    compiler: `${format} ${version} ${os}/${arch} ${identity}`,
    version,
  };
}

let inspectSum: Promise<string> | undefined;

function sumOfInspect(): Promise<string> {
  inspectSum ??= readFile(inspectSource).then((text) => createHash('sha256').update(text).digest('hex'));
  return inspectSum;
}

/** What of the toolchain is part of the key of each action that uses it: of a tool of the target only what is not that tool. */
export async function toolchainIdentity(target: Target): Promise<string> {
  const inspect = await sumOfInspect();
  if (target.tools.named.go !== undefined) return `${format} ${inspect}`;
  return `${(await goOnPath()).compiler} ${inspect}`;
}

const ready = new Map<string, Promise<Toolchain>>();

/** This machine's, as GOARCH. */
export const hostArchitecture = process.arch === 'x64' ? 'amd64' : process.arch;

/**
 * Compiles the standard library once for each version of Go, for this machine's platform or another architecture, and without
 * cgo, which takes a minute on two cores; and finds it the next time.
 *
 * @param work `go/<sum>` below its cache folder holds the result
 * @param request an action, whose target may want a Go of its own
 * @param architecture GOARCH; this machine's unless told
 */
export async function openToolchain(
  work: Pick<BuiltinRequest, 'cacheFolder' | 'progress' | 'update' | 'signal'>,
  request?: GoRequest,
  architecture = hostArchitecture,
): Promise<Toolchain> {
  const { cacheFolder, progress, update, signal } = work;
  update('waiting for the standard library');
  const go = await goOf(request);
  const key = `${architecture} ${cacheFolder} ${go.compiler}`;
  let toolchain = ready.get(key);
  if (toolchain === undefined) {
    toolchain = prepare(go, cacheFolder, progress, signal, architecture);
    ready.set(key, toolchain);
    toolchain.catch(() => ready.delete(key));
  }
  return toolchain;
}

async function prepare(
  go: Go,
  cacheFolder: string,
  progress: Progress,
  signal: AbortSignal,
  architecture: string,
): Promise<Toolchain> {
  const what = architecture === hostArchitecture ? go.compiler : `${go.compiler} for ${architecture}`;
  const id = createHash('sha256').update(what).digest('hex').slice(0, 16);
  const folder = join(cacheFolder, 'go', id);
  await once(join(folder, 'standard.json'), `${folder}.lock`, () =>
    compileStandard(go, folder, progress, signal, architecture),
  );
  const inspect = join(folder, `inspect-${(await sumOfInspect()).slice(0, 16)}`);
  await once(inspect, `${folder}.lock`, () => compileInspect(go, inspect, signal));
  const paths = JSON.parse(await readFile(join(folder, 'standard.json'), 'utf8')) as string[];
  const tools = await toolFolder(go.goroot);
  return {
    go,
    goroot: go.goroot,
    architecture,
    folder,
    standard: new Map(paths.map((path) => [path, join(folder, 'std', `${path}.a`)])),
    inspect,
    compiler: join(tools, 'compile'),
    linker: join(tools, 'link'),
    assembler: join(tools, 'asm'),
    cgo: join(tools, 'cgo'),
  };
}

/** Makes what is not there yet, in one process of all. */
async function once(path: string, lock: string, make: () => Promise<void>): Promise<void> {
  if (await exists(path)) return;
  await withLock(lock, async () => {
    if (!(await exists(path))) await make();
  });
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function toolFolder(goroot: string): Promise<string> {
  const folder = join(goroot, 'pkg', 'tool', `${process.platform}_${hostArchitecture}`);
  if ((await stat(join(folder, 'compile')).catch(() => undefined)) !== undefined) return folder;
  throw new BuildFault('build/tool-not-found', `the Go in ${goroot} has no compiler in ${folder}`, {
    next: 'install Go from its own archive and put its bin folder on the PATH',
  });
}

async function compileStandard(
  go: Go,
  folder: string,
  progress: Progress,
  signal: AbortSignal,
  architecture: string,
): Promise<void> {
  const foreign = architecture === hostArchitecture ? '' : ` for ${architecture}`;
  const task = progress.begin(`standard library of ${go.version}${foreign}`);
  const work = await mkdtemp(join(tmpdir(), 'banksman-go-'));
  const options = goOptions(go, work, signal, { GOARCH: architecture });
  try {
    task.update('compiling, once for this version of Go');
    const form = '{{if .Export}}{{.ImportPath}}\t{{.Export}}{{end}}';
    const list = await run(go.program, ['list', '-trimpath', '-export', '-f', form, 'std'], options);
    const archives = list.stdout
      .toString('utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('\t') as [string, string]);
    const made = `${folder}.${randomBytes(6).toString('hex')}`;
    try {
      for (const [path, archive] of archives) {
        const to = join(made, 'std', `${path}.a`);
        await mkdir(dirname(to), { recursive: true });
        await copyFile(archive, to);
      }
      await writeFile(join(made, 'standard.json'), JSON.stringify(archives.map(([path]) => path).sort()));
      await rename(made, folder);
    } catch (error) {
      await rm(made, { recursive: true, force: true });
      throw error;
    }
    task.done();
  } catch (error) {
    task.fail();
    if (!(error instanceof ProcessFault)) throw error;
    throw new BuildFault('build/action-failed', `the standard library of ${go.version} can't be compiled`, {
      notes: error.notes,
      next: `see that the Go in ${go.goroot} is whole: go build std`,
      cause: error,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** How `go` is run: with nothing of the user's own settings, and nothing from the network. */
function goOptions(go: Go, work: string, signal: AbortSignal, env: Readonly<Record<string, string>> = {}) {
  return {
    cwd: work,
    env: {
      PATH: `${join(go.goroot, 'bin')}:/usr/bin:/bin`,
      HOME: work,
      TMPDIR: work,
      GOCACHE: join(work, 'cache'),
      GOPATH: join(work, 'path'),
      GOROOT: go.goroot,
      GOTOOLCHAIN: 'local',
      GOENV: 'off',
      GOFLAGS: '',
      GOPROXY: 'off',
      GO111MODULE: 'off',
      CGO_ENABLED: '0',
      ...env,
    },
    signal,
    timeout: 1_800_000,
  };
}

async function compileInspect(go: Go, to: string, signal: AbortSignal): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'banksman-go-'));
  try {
    await copyFile(inspectSource, join(work, 'inspect.go'));
    const made = `${to}.${randomBytes(6).toString('hex')}`;
    const args = ['build', '-trimpath', '-ldflags=-s -w', '-o', made, join(work, 'inspect.go')];
    await run(go.program, args, goOptions(go, work, signal, { GOCACHE: join(dirname(to), 'objects') }));
    await rename(made, to);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The client of Go, for downloads: it goes by the user's own settings. @throws BuildFault build/tool-not-found */
export async function goProgram(): Promise<string> {
  return (await goOnPath()).program;
}

/**
 * The archive of `runtime/cgo`, which programs with C in them need: compiled once for each version of Go and of the C compiler.
 * Everything else of the standard library is the same with cgo and without, but for what looks up names with the C library; that
 * stays Go's own.
 *
 * @throws BuildFault build/action-failed where the C compiler is not whole
 */
export async function cgoRuntime(toolchain: Toolchain, compiler: Tool, signal: AbortSignal): Promise<string> {
  const { go } = toolchain;
  const id = createHash('sha256').update(compiler.identity).digest('hex').slice(0, 16);
  const archive = join(toolchain.folder, `cgo-${id}`, 'runtime-cgo.a');
  await once(archive, `${toolchain.folder}.lock`, async () => {
    const work = await mkdtemp(join(tmpdir(), 'banksman-go-'));
    try {
      // Another compiler leaves most of it as it was.
      const GOCACHE = join(toolchain.folder, 'objects');
      const options = goOptions(go, work, signal, { CGO_ENABLED: '1', CC: compiler.path, GOCACHE });
      const args = ['list', '-trimpath', '-export', '-f', '{{.Export}}', 'runtime/cgo'];
      const from = (await run(go.program, args, options)).stdout.toString('utf8').trim();
      await mkdir(dirname(archive), { recursive: true });
      const made = `${archive}.${randomBytes(6).toString('hex')}`;
      await copyFile(from, made);
      await rename(made, archive);
    } catch (error) {
      if (!(error instanceof ProcessFault)) throw error;
      throw new BuildFault('build/action-failed', `Go's runtime for programs with C in them can't be compiled`, {
        notes: error.notes,
        next: `see that ${compiler.path} is whole, and the C library's headers: apt-get install gcc libc6-dev`,
        cause: error,
      });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return archive;
}
