import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Place } from '../../../fault/index.ts';
import { ProcessFault, type RunResult, run } from '../../../process/index.ts';
import { BuildFault } from '../../fault.ts';
import { goProgram } from '../toolchain.ts';

/** Milliseconds for one module. */
const patience = 300_000;

export interface ModuleVersion {
  readonly module: string;
  readonly version: string;
  /** Sums of the module and of its go.mod as go.sum has them (`h1:...`). Without them the client asks its sum database. */
  readonly sum?: string | undefined;
  readonly modSum?: string | undefined;
}

export interface FetchedModule {
  /** Absolute. Nothing may be written to it. */
  readonly folder: string;
  /** Its go.mod, which very old modules have only in the proxy. */
  readonly goMod: string;
  readonly sum: string;
  readonly modSum: string;
}

export interface FetchOptions {
  /** The client of Go; the one on the PATH unless told. */
  readonly program?: string;
  /** `go/mod` below it keeps what was fetched once. */
  readonly cacheFolder: string;
  readonly signal: AbortSignal;
  /** Who wants it, for errors. */
  readonly wanted: string;
  readonly place?: Place | undefined;
}

/**
 * Brings a module with the client of Go, which goes by the user's own settings (GOPROXY, GONOSUMDB, .netrc) and checks what
 * comes: against the sums given, or else against its sum database. What is there already needs no network.
 *
 * @throws BuildFault build/fetch-failed, build/hash-mismatch, build/bad-config
 */
export async function fetchModule(what: ModuleVersion, options: FetchOptions): Promise<FetchedModule> {
  const { module, version } = what;
  const fault =
    (code: 'build/bad-config' | 'build/fetch-failed' | 'build/hash-mismatch') =>
    (message: string, notes: readonly string[], next: string) =>
      new BuildFault(code, message, { ...(options.place !== undefined && { place: options.place }), notes, next });
  if (!/^[\w.~+-]+(\/[\w.~+-]+)*$/.test(module) || !/^v\d[\w.+-]*$/.test(version)) {
    throw fault('build/bad-config')(
      `${options.wanted} has the module ${module} and the version ${version}, which name no version of a module`,
      [],
      'write a path such as github.com/google/uuid, and a version such as v1.6.0',
    );
  }
  const program = options.program ?? (await goProgram());
  // A folder with a go.mod of its own: one above would have a say in it.
  const work = await mkdtemp(join(tmpdir(), 'banksman-module-'));
  try {
    await writeFile(join(work, 'go.mod'), 'module banksman.invalid/fetch\n');
    const sums = [
      ...(what.sum ? [`${module} ${version} ${what.sum}\n`] : []),
      ...(what.modSum ? [`${module} ${version}/go.mod ${what.modSum}\n`] : []),
    ];
    if (sums.length > 0) await writeFile(join(work, 'go.sum'), sums.join(''));
    const cache = join(options.cacheFolder, 'go', 'mod');
    await mkdir(cache, { recursive: true });
    let done: RunResult;
    try {
      done = await run(program, ['mod', 'download', '-modcacherw', '-json', `${module}@${version}`], {
        cwd: work,
        env: { ...process.env, GO111MODULE: 'on', GOWORK: 'off', GOTOOLCHAIN: 'local', GOMODCACHE: cache },
        timeout: patience,
        signal: options.signal,
        accept: [0, 1],
      });
    } catch (error) {
      if (!(error instanceof ProcessFault)) throw error;
      throw fault('build/fetch-failed')(
        `${module}@${version}, which ${options.wanted} needs, could not be fetched`,
        error.notes,
        'see that the network and the settings of go (go env GOPROXY) are right, and build again',
      );
    }
    const found = parse(done.stdout.toString('utf8'));
    if (done.code !== 0 || found?.Dir === undefined) {
      throw explain(found?.Error ?? done.stderr, what, options, fault);
    }
    const { Dir: folder, GoMod: goMod = '', Sum: sum = '', GoModSum: modSum = '' } = found;
    if (what.sum && what.sum !== sum) throw mismatch(`had: ${sum}`, what, options, fault);
    return { folder, goMod, sum, modSum };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

type FaultOf = (
  code: 'build/bad-config' | 'build/fetch-failed' | 'build/hash-mismatch',
) => (message: string, notes: readonly string[], next: string) => BuildFault;

function parse(text: string): Readonly<Record<string, string | undefined>> | undefined {
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    return undefined;
  }
}

function explain(words: string, what: ModuleVersion, options: FetchOptions, fault: FaultOf): BuildFault {
  const text = words.trim();
  if (/checksum mismatch|SECURITY ERROR/.test(text)) return mismatch(text, what, options, fault);
  const name = `${what.module}@${what.version}`;
  if (
    /unknown revision|invalid version|404 Not Found|410 Gone|no matching versions|malformed module path|no such file or directory/.test(
      text,
    )
  ) {
    return fault('build/fetch-failed')(
      `there is no ${name}, which ${options.wanted} needs`,
      [text],
      'correct the module or its version',
    );
  }
  return fault('build/fetch-failed')(
    `${name}, which ${options.wanted} needs, could not be fetched`,
    [text],
    'see that the network and the settings of go (go env GOPROXY) are right, and build again',
  );
}

function mismatch(text: string, what: ModuleVersion, options: FetchOptions, fault: FaultOf): BuildFault {
  return fault('build/hash-mismatch')(
    `${what.module}@${what.version} has another sum than ${options.wanted} locks`,
    [`locked: ${what.sum ?? 'in the sum database'}`, text],
    'find out why it is another content (a proxy, a moved tag); if it is right, lock it anew: banksman lock go',
  );
}
