import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import { sortedJson } from '../artifact/index.ts';
import { type Evidence, type EvidenceParts, evidenceFormat } from './document.ts';
import { summarize } from './summary.ts';

/** Puts a summary, a sum and, with a key, a signature to the parts. */
export async function sealEvidence(parts: EvidenceParts, key?: KeyObject): Promise<Evidence> {
  const { summary: _, sum: __, signature: ___, ...plain } = parts as Evidence;
  const told = { ...plain, summary: JSON.parse(JSON.stringify(await summarize(plain))) as unknown };
  const sum = sumOf(told);
  return {
    ...told,
    sum,
    ...(key !== undefined && { signature: sign(null, signedBytes(sum), key).toString('base64') }),
  };
}

/** SHA-256 over everything but the sum and the signature. */
export function sumOf(evidence: object): string {
  const { sum: _, signature: __, ...plain } = evidence as Evidence;
  return createHash('sha256').update(sortedJson(plain)).digest('hex');
}

export function isSealedBy({ sum, signature }: Evidence, key: KeyObject): boolean {
  return signature !== undefined && verify(null, signedBytes(sum), key, Buffer.from(signature, 'base64'));
}

function signedBytes(sum: string): Buffer {
  return Buffer.from(`${evidenceFormat}\n${sum}\n`);
}
