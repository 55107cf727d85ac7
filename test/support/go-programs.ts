import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder, withLock } from '../../src/disk/index.ts';

/**
 * Programs of others that tests run against, each built from a Go module of its own that locks it and all that it is made of:
 *
 * - the conformance suites of the OCI distribution specification: the present one, and the one before, which is the last to report by the
 *   four workflows (pull, push, content discovery, content management)
 * - the real cosign
 * - bazel-remote, a server of the Remote Execution API
 */
const programs = {
  conformance: {
    folder: 'conformance',
    command: ['build', '-trimpath', '-ldflags=-s -w'],
    package: 'github.com/opencontainers/distribution-spec/conformance',
  },
  'conformance-workflows': {
    folder: 'conformance/workflows',
    command: ['test', '-c'],
    package: 'github.com/opencontainers/distribution-spec/conformance',
  },
  cosign: {
    folder: 'cosign',
    command: ['build', '-trimpath', '-ldflags=-s -w'],
    package: 'github.com/sigstore/cosign/v3/cmd/cosign',
  },
  'bazel-remote': {
    folder: 'bazel-remote',
    command: ['build', '-trimpath', '-ldflags=-s -w'],
    package: 'github.com/buchgr/bazel-remote/v2',
  },
} as const;

export type GoProgram = keyof typeof programs;

const sourceOf = (name: GoProgram) => fileURLToPath(new URL(`../${programs[name].folder}`, import.meta.url));

/** Where the program of the locked versions is, or will be. */
function placeOf(name: GoProgram): string {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(sourceOf(name), file)));
  return cacheFolder('test', `go-${hash.digest('hex').slice(0, 16)}`, name);
}

/**
 * Its path. script/test builds it first, and there its absence is an error; a unit test run by hand without it is shown as skipped, and
 * `node test/support/go-programs.ts NAME` builds it.
 */
export function findProgram(name: GoProgram): string | undefined {
  const path = placeOf(name);
  if (existsSync(path)) return path;
  if (process.env.BANKSMAN_TESTS === 'whole') throw new Error(`there is no ${path}, and no test may be left out`);
  return undefined;
}

/** Builds it where the cache does not have it: one to two minutes on two cores that have nothing else to do. */
export async function buildProgram(name: GoProgram): Promise<string> {
  const path = placeOf(name);
  await mkdir(dirname(path), { recursive: true });
  await withLock(`${path}.lock`, async () => {
    if (existsSync(path)) return;
    process.stderr.write(`building ${name}, which tests need; once for each version\n`);
    const partial = `${path}.partial`;
    try {
      await promisify(execFile)('go', [...programs[name].command, '-o', partial, programs[name].package], {
        cwd: sourceOf(name),
        env: { ...process.env, CGO_ENABLED: '0' },
      });
      await rename(partial, path);
    } finally {
      await rm(partial, { force: true });
    }
  });
  return path;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2);
  const unknown = asked.filter((name) => !Object.hasOwn(programs, name));
  if (unknown.length > 0)
    throw new Error(`there is no ${unknown.join(', ')}; there are ${Object.keys(programs).join(', ')}`);
  for (const name of (asked.length === 0 ? Object.keys(programs) : asked) as GoProgram[]) await buildProgram(name);
}
