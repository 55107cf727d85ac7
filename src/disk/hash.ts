import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Bytes of a file that is read at once: waiting for a thread would take longer than reading it. */
const smallFile = 256 * 1024;
/** Bytes that are read at a time of larger ones. */
const pieceSize = 1024 * 1024;

/** Buffers are used again: thousands of files would fill the memory with them faster than they are collected. */
let smallBuffer: Buffer | undefined;
const freeBuffers: Buffer[] = [];

/** SHA-256 (hex) and size in bytes of a file, in constant memory. */
export async function hashFile(path: string): Promise<{ readonly sha256: string; readonly size: number }> {
  const hash = createHash('sha256');
  const size = hashSmall(path, hash) ?? (await hashLarge(path, hash));
  return { sha256: hash.digest('hex'), size };
}

function hashSmall(path: string, hash: Hash): number | undefined {
  const file = openSync(path, 'r');
  try {
    // One byte more than a small file has: one that has grown meanwhile is no small one.
    smallBuffer ??= Buffer.allocUnsafe(smallFile + 1);
    if (fstatSync(file).size > smallFile) return undefined;
    let size = 0;
    for (;;) {
      const count = readSync(file, smallBuffer, size, smallBuffer.length - size, null);
      size += count;
      if (size > smallFile) return undefined;
      if (count === 0) break;
    }
    hash.update(smallBuffer.subarray(0, size));
    return size;
  } finally {
    closeSync(file);
  }
}

async function hashLarge(path: string, hash: Hash): Promise<number> {
  const buffer = freeBuffers.pop() ?? Buffer.allocUnsafe(pieceSize);
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    let size = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return size;
      size += bytesRead;
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file?.close();
    freeBuffers.push(buffer);
  }
}
