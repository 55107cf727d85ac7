import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cacheFolder, withLock } from '../../src/disk/index.ts';

/** A Go module of its own, that locks cosign and all that it is made of. */
const source = fileURLToPath(new URL('../cosign', import.meta.url));

/** Where the program of these locked versions is, or will be. */
function place(): string {
  const hash = createHash('sha256');
  for (const name of ['go.mod', 'go.sum']) hash.update(readFileSync(join(source, name)));
  return cacheFolder('cosign', hash.digest('hex').slice(0, 16), 'cosign');
}

/**
 * The real cosign. script/test builds it first, and there its absence is an error; a unit test run by hand without it is shown
 * as skipped, and `node test/support/cosign.ts` builds it.
 */
export function findCosign(): string | undefined {
  const path = place();
  if (existsSync(path)) return path;
  if (process.env.BANKSMAN_TESTS === 'whole') throw new Error(`there is no ${path}, and no test may be left out`);
  return undefined;
}

/** Builds it where the cache does not have it: about two minutes on two cores that have nothing else to do. */
async function build(): Promise<void> {
  const path = place();
  await mkdir(dirname(path), { recursive: true });
  await withLock(`${path}.lock`, async () => {
    if (existsSync(path)) return;
    process.stderr.write('building cosign, which the tests of proofs need; once for each version\n');
    const partial = `${path}.partial`;
    const args = ['build', '-trimpath', '-ldflags=-s -w', '-o', partial, 'github.com/sigstore/cosign/v3/cmd/cosign'];
    try {
      await promisify(execFile)('go', args, { cwd: source, env: { ...process.env, CGO_ENABLED: '0' } });
      await rename(partial, path);
    } finally {
      await rm(partial, { force: true });
    }
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build();
