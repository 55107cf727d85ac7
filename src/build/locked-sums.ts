import { createReadStream } from 'node:fs';
import { algorithmsOf, type SumAlgorithm, type Target, usualSums } from '../graph/index.ts';
import type { Artifact, FileArtifact } from './artifact.ts';
import type { Blobs } from './blobs.ts';
import { BuildFault } from './fault.ts';
import { createSum, type Sum } from './sums.ts';

/**
 * Holds outputs against the sums that the target locks: those of Please, and for a single folder also the sum that is its name in
 * the cache.
 *
 * @param allowed algorithms by which sums count
 * @throws BuildFault build/hash-mismatch with the sums that were had
 */
export async function checkHashes(
  target: Target,
  outputs: readonly Artifact[],
  blobs: Blobs,
  allowed: readonly SumAlgorithm[] = usualSums,
): Promise<void> {
  const { hashes } = target;
  if (hashes.length === 0) return;
  const had: string[] = [];
  const [only] = outputs;
  const own = outputs.length === 1 ? only?.sha256 : undefined;
  if (own !== undefined && hashes.includes(own)) return;
  const wanted = new Set(hashes.flatMap((sum) => algorithmsOf(sum, allowed)));
  for (const algorithm of allowed) {
    // The usual sum is told even where none is of its kind.
    if (algorithm !== 'sha256' && !wanted.has(algorithm)) continue;
    const sum = await sumOf(algorithm, outputs, blobs);
    if (hashes.includes(sum)) return;
    had.push(algorithm === 'sha256' ? sum : `${algorithm}: ${sum}`);
  }
  throw new BuildFault('build/hash-mismatch', `the output of ${target.label} has another sum than the target locks`, {
    place: target.place,
    notes: [`locked: ${hashes.join(', ')}`, `had:    ${had.join(', ')}`],
    next: 'find out why it is another content; if it is right, lock its sum',
  });
}

/** Of a single output its own, of several that over theirs, in their order. */
async function sumOf(algorithm: SumAlgorithm, outputs: readonly Artifact[], blobs: Blobs): Promise<string> {
  const sums: Buffer[] = [];
  for (const output of outputs) sums.push(await sumOfOne(algorithm, output, blobs));
  const [only] = sums;
  if (only !== undefined && sums.length === 1) return only.toString('hex');
  const hash = await createSum(algorithm);
  for (const sum of sums) hash.update(sum);
  return hash.digest().toString('hex');
}

/** What Please writes in place of a link's content. */
const link = Buffer.from([2]);

async function sumOfOne(algorithm: SumAlgorithm, output: Artifact, blobs: Blobs): Promise<Buffer> {
  if (output.kind === 'file' && algorithm === 'sha256') return Buffer.from(output.sha256, 'hex');
  const hash = await createSum(algorithm);
  if (output.kind === 'file') await addContent(hash, output, blobs);
  else {
    // The contents one after the other; names don't count.
    for (const entry of output.entries) {
      if (entry.kind === 'symlink') hash.update(link);
      else if (entry.kind === 'file') await addContent(hash, entry, blobs);
    }
  }
  return hash.digest();
}

async function addContent(hash: Sum, file: FileArtifact, blobs: Blobs): Promise<void> {
  for await (const piece of createReadStream(blobs.path(file))) hash.update(piece as Buffer);
}
