import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder, withLock } from '../../src/disk/index.ts';

/**
 * The conformance suites of the OCI distribution specification: the present one, and the one before, which is the last to
 * report by the four workflows (pull, push, content discovery, content management). A Go module locks each.
 */
export type Suite = 'present' | 'workflows';

const suites = {
  present: { folder: '../conformance', command: ['build', '-trimpath', '-ldflags=-s -w'] },
  workflows: { folder: '../conformance/workflows', command: ['test', '-c'] },
} as const;

const modulePath = 'github.com/opencontainers/distribution-spec/conformance';

function sourceOf(suite: Suite): string {
  return fileURLToPath(new URL(suites[suite].folder, import.meta.url));
}

/** Where the program of the locked version is, or will be. */
function placeOf(suite: Suite): string {
  const hash = createHash('sha256');
  for (const name of ['go.mod', 'go.sum']) hash.update(readFileSync(join(sourceOf(suite), name)));
  return cacheFolder('conformance', hash.digest('hex').slice(0, 16), suite);
}

/** Undefined where it was not built. script/test builds it first, and there its absence is an error. */
export function findSuite(suite: Suite): string | undefined {
  const path = placeOf(suite);
  if (existsSync(path)) return path;
  if (process.env.BANKSMAN_TESTS === 'whole') throw new Error(`there is no ${path}, and no test may be left out`);
  return undefined;
}

/** Builds it where the cache does not have it: about a minute for both. */
async function build(suite: Suite): Promise<void> {
  const path = placeOf(suite);
  await mkdir(dirname(path), { recursive: true });
  await withLock(`${path}.lock`, async () => {
    if (existsSync(path)) return;
    process.stderr.write(
      `building the ${suite} conformance suite, which the registry's tests need; once for each version\n`,
    );
    const partial = `${path}.partial`;
    const args = [...suites[suite].command, '-o', partial, modulePath];
    try {
      await promisify(execFile)('go', args, { cwd: sourceOf(suite), env: { ...process.env, CGO_ENABLED: '0' } });
      await rename(partial, path);
    } finally {
      await rm(partial, { force: true });
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const suite of ['present', 'workflows'] as const) await build(suite);
