import { createHash, randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from '../../disk/index.ts';
import { ProcessFault, run } from '../../process/index.ts';
import type { Progress } from '../../progress/index.ts';
import { BuildFault } from '../fault.ts';
import { resolveTool } from '../tool.ts';

/** The Go of whoever builds, with its standard library compiled. */
export interface Toolchain {
  readonly goroot: string;
  /** Holds the compiled standard library and `inspect`. */
  readonly folder: string;
  /** Archives of the standard library by import path. */
  readonly standard: ReadonlyMap<string, string>;
  /** `src/build/go/inspect`, compiled. */
  readonly inspect: string;
  readonly compiler: string;
  readonly linker: string;
}

/** Goes up when the folder is laid out in another way. */
const format = 1;

const inspectSource = fileURLToPath(new URL('./inspect/main.go', import.meta.url));

interface Found {
  readonly program: string;
  readonly goroot: string;
  /** `go1.26.8 linux/amd64` with the sum of the `go` program and of what is compiled with it. */
  readonly identity: string;
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
    const identity = `${format} ${version} ${os}/${arch} ${tool.identity} ${inspect}`;
    return { program: join(goroot, 'bin', 'go'), goroot, identity, version };
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

/**
 * Compiles the standard library once for each version of Go, for this machine's platform and without cgo, which takes a
 * minute on two cores; and finds it the next time.
 *
 * @param cacheFolder `go/<sum>` below it holds the result
 */
export function openToolchain(
  cacheFolder: string,
  progress: Progress,
  update: (text: string) => void,
  signal: AbortSignal,
): Promise<Toolchain> {
  let toolchain = ready.get(cacheFolder);
  if (toolchain === undefined) {
    toolchain = prepare(cacheFolder, progress, signal);
    ready.set(cacheFolder, toolchain);
    toolchain.catch(() => ready.delete(cacheFolder));
  }
  update('waiting for the standard library');
  return toolchain;
}

async function prepare(cacheFolder: string, progress: Progress, signal: AbortSignal): Promise<Toolchain> {
  const go = await findGo();
  const id = createHash('sha256').update(go.identity).digest('hex').slice(0, 16);
  const folder = join(cacheFolder, 'go', id);
  const whole = () =>
    stat(join(folder, 'standard.json')).then(
      () => true,
      () => false,
    );
  if (!(await whole())) {
    await withLock(`${folder}.lock`, async () => {
      if (!(await whole())) await compileStandard(go, folder, progress, signal);
    });
  }
  const paths = JSON.parse(await readFile(join(folder, 'standard.json'), 'utf8')) as string[];
  const tools = await toolFolder(go.goroot);
  return {
    goroot: go.goroot,
    folder,
    standard: new Map(paths.map((path) => [path, join(folder, 'std', `${path}.a`)])),
    inspect: join(folder, 'inspect'),
    compiler: join(tools, 'compile'),
    linker: join(tools, 'link'),
  };
}

async function toolFolder(goroot: string): Promise<string> {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const folder = join(goroot, 'pkg', 'tool', `${process.platform}_${arch}`);
  if ((await stat(join(folder, 'compile')).catch(() => undefined)) !== undefined) return folder;
  throw new BuildFault('build/tool-not-found', `the Go in ${goroot} has no compiler in ${folder}`, {
    next: 'install Go from its own archive and put its bin folder on the PATH',
  });
}

async function compileStandard(go: Found, folder: string, progress: Progress, signal: AbortSignal): Promise<void> {
  const task = progress.begin(`standard library of ${go.version}`);
  const work = await mkdtemp(join(tmpdir(), 'banksman-go-'));
  const env = {
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
  };
  const options = { cwd: work, env, signal, timeout: 1_800_000 };
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
      task.update('compiling the reader of Go files');
      await copyFile(inspectSource, join(work, 'inspect.go'));
      const build = ['build', '-trimpath', '-ldflags=-s -w', '-o', join(made, 'inspect'), join(work, 'inspect.go')];
      await run(go.program, build, options);
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
