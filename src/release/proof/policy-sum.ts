import { createHash } from 'node:crypto';

/** The sum under which the log names a policy. */
export function policySum(text: string | Uint8Array, keys: ReadonlyMap<string, { readonly hint: string }>): string {
  const lines = [...keys].map(([name, { hint }]) => `${name} ${hint}\n`).sort();
  return createHash('sha256')
    .update(text)
    .update(`\n${lines.join('')}`)
    .digest('hex');
}
