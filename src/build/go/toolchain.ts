import { createHash, randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from '../../disk/index.ts';
import { ProcessFault, run } from '../../process/index.ts';
import type { Progress } from '../../progress/index.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool, type Tool } from '../tool.ts';

/** The Go of whoever builds, with its standard library compiled. */
export interface Toolchain {
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

interface Found {
  readonly program: string;
  readonly goroot: string;
  /** `go1.26.8 linux/amd64` with the sum of the `go` program and of what is compiled with it. */
  readonly identity: string;
  /** The same without `inspect`: what the compiled standard library depends on. */
  readonly compiler: string;
  readonly inspect: string;
  readonly version: string;
}

let found: Promise<Found> | undefined;

/** The `go` on the PATH. @throws BuildFault build/tool-not-found */
function findGo(): Promise<Found> {
  found ??= (async () => {
    const tool = await resolveTool('go');
    const { stdout } = await run(tool.realPath, ['env', 'GOROOT', 'GOVERSION', 'GOHOSTOS', 'GOHOSTARCH'], {
      env: { PATH: dirname(tool.realPath), HOME: tmpdir(), GOTOOLCHAIN: 'local', GOENV: 'off', GOFLAGS: '' },
      timeout: 30_000,
    });
    const [goroot = '', version = '', os, arch] = stdout.toString('utf8').trim().split('\n');
    const inspect = createHash('sha256')
      .update(await readFile(inspectSource))
      .digest('hex');
    const compiler = `${format} ${version} ${os}/${arch} ${tool.identity}`;
    return {
      program: join(goroot, 'bin', 'go'),
      goroot,
      identity: `${compiler} ${inspect}`,
      compiler,
      inspect,
      version,
    };
  })();
  found.catch(() => {
    found = undefined;
  });
  return found;
}

/** What of the toolchain is part of the key of each action that uses it. */
export async function toolchainIdentity(): Promise<string> {
  return (await findGo()).identity;
}

const ready = new Map<string, Promise<Toolchain>>();

/** This machine's, as GOARCH. */
export const hostArchitecture = process.arch === 'x64' ? 'amd64' : process.arch;

/**
 * Compiles the standard library once for each version of Go, for this machine's platform or another architecture, and without
 * cgo, which takes a minute on two cores; and finds it the next time.
 *
 * @param cacheFolder `go/<sum>` below it holds the result
 * @param architecture GOARCH; this machine's unless told
 */
export function openToolchain(
  cacheFolder: string,
  progress: Progress,
  update: (text: string) => void,
  signal: AbortSignal,
  architecture = hostArchitecture,
): Promise<Toolchain> {
  const key = `${architecture} ${cacheFolder}`;
  let toolchain = ready.get(key);
  if (toolchain === undefined) {
    toolchain = prepare(cacheFolder, progress, signal, architecture);
    ready.set(key, toolchain);
    toolchain.catch(() => ready.delete(key));
  }
  update('waiting for the standard library');
  return toolchain;
}

async function prepare(
  cacheFolder: string,
  progress: Progress,
  signal: AbortSignal,
  architecture: string,
): Promise<Toolchain> {
  const go = await findGo();
  const what = architecture === hostArchitecture ? go.compiler : `${go.compiler} for ${architecture}`;
  const id = createHash('sha256').update(what).digest('hex').slice(0, 16);
  const folder = join(cacheFolder, 'go', id);
  await once(join(folder, 'standard.json'), `${folder}.lock`, () =>
    compileStandard(go, folder, progress, signal, architecture),
  );
  const inspect = join(folder, `inspect-${go.inspect.slice(0, 16)}`);
  await once(inspect, `${folder}.lock`, () => compileInspect(go, inspect, signal));
  const paths = JSON.parse(await readFile(join(folder, 'standard.json'), 'utf8')) as string[];
  const tools = await toolFolder(go.goroot);
  return {
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
  const there = () =>
    stat(path).then(
      () => true,
      () => false,
    );
  if (await there()) return;
  await withLock(lock, async () => {
    if (!(await there())) await make();
  });
}

async function toolFolder(goroot: string): Promise<string> {
  const folder = join(goroot, 'pkg', 'tool', `${process.platform}_${hostArchitecture}`);
  if ((await stat(join(folder, 'compile')).catch(() => undefined)) !== undefined) return folder;
  throw new BuildFault('build/tool-not-found', `the Go in ${goroot} has no compiler in ${folder}`, {
    next: 'install Go from its own archive and put its bin folder on the PATH',
  });
}

async function compileStandard(
  go: Found,
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
function goOptions(go: Found, work: string, signal: AbortSignal, env: Readonly<Record<string, string>> = {}) {
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

async function compileInspect(go: Found, to: string, signal: AbortSignal): Promise<void> {
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
export async function goProgram(): Promise<{ readonly program: string; readonly identity: string }> {
  const { program, identity } = await findGo();
  return { program, identity };
}

/**
 * The archive of `runtime/cgo`, which programs with C in them need: compiled once for each version of Go and of the C compiler.
 * Everything else of the standard library is the same with cgo and without, but for what looks up names with the C library; that
 * stays Go's own.
 *
 * @throws BuildFault build/action-failed where the C compiler is not whole
 */
export async function cgoRuntime(toolchain: Toolchain, compiler: Tool, signal: AbortSignal): Promise<string> {
  const go = await findGo();
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
