import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ImageFault } from '../fault.ts';

/** How a member of a Debian package is compressed, by the end of its name. deb(5). */
export type Compression = 'none' | 'gzip' | 'xz' | 'zstd' | 'bzip2';

const endings: Readonly<Record<string, Compression>> = { '': 'none', '.gz': 'gzip', '.xz': 'xz', '.zst': 'zstd' };

/** Of `data.tar.xz`: xz. Undefined for what deb(5) does not name (bzip2 and lzma are long gone from Debian). */
export function compressionOf(name: string): Compression | undefined {
  const dot = name.indexOf('.tar');
  return dot < 0 ? undefined : endings[name.slice(dot + '.tar'.length)];
}

/**
 * The uncompressed bytes, in constant memory. For xz and bzip2 the programs of these names do it: Node has neither.
 *
 * @param what names the archive in faults
 * @throws ImageFault image/bad-archive while it is read, image/package-client where such a program is not installed
 */
export async function* decompress(
  source: Readable,
  compression: Compression,
  what: string,
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') return yield* source;
  if (compression === 'xz') {
    const args = ['--decompress', '--stdout', '--quiet', `--memlimit-decompress=${memoryLimit}`];
    return yield* through('xz', 'xz-utils', args, source, what);
  }
  if (compression === 'bzip2') {
    return yield* through('bzip2', 'bzip2', ['--decompress', '--stdout', '--quiet'], source, what);
  }
  const stream = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  source.on('error', (error) => stream.destroy(error));
  try {
    yield* source.pipe(stream);
  } catch (cause) {
    throw damaged(what, cause);
  } finally {
    source.destroy();
    stream.destroy();
  }
}

/** Bytes of memory that xz may use: a dictionary of 64 MiB (`xz -9`) needs 65. A file that asks for more is no Debian package. */
const memoryLimit = 512 * 1024 * 1024;

async function* through(
  program: string,
  debianPackage: string,
  args: readonly string[],
  source: Readable,
  what: string,
): AsyncGenerator<Uint8Array> {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2000);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', (cause: NodeJS.ErrnoException) => {
      const next = cause.code === 'ENOENT' ? `install the package ${debianPackage}` : undefined;
      reject(new ImageFault('image/package-client', `${program} can't be started: ${cause.message}`, { cause, next }));
    });
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(damaged(what, new Error(complaint.trim() || `${program} ended with ${code}`)));
    });
  });
  ended.catch(() => {});
  // A child that has ended already is judged by its exit code, not by EPIPE.
  child.stdin.on('error', () => source.destroy());
  source.on('error', () => child.kill('SIGKILL'));
  source.pipe(child.stdin);
  try {
    yield* child.stdout;
    await ended;
    if (source.errored) throw source.errored;
  } finally {
    source.destroy();
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}

function damaged(what: string, cause: unknown): ImageFault {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ImageFault('image/bad-archive', `${what} can't be decompressed: ${why}`, { cause });
}
