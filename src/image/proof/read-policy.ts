import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ProofFault } from './fault.ts';
import type { Policy } from './policy.ts';

/**
 * Reads a policy and the keys that it names.
 *
 * @param shown how the file is called in faults; `path` unless told
 * @throws ProofFault proof/bad-policy with the place, proof/bad-key
 */
export async function readPolicy(path: string, shown = path): Promise<Policy> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ProofFault(
      'proof/bad-policy',
      `the policy ${shown} can't be read: ${(cause as NodeJS.ErrnoException).code}`,
      {
        next: 'give the path of a policy file; docs/proof.md shows one',
      },
    );
  }
  // Loaded here: only who has a policy needs YAML for it.
  const { parsePolicy } = await import('./policy-form.ts');
  return parsePolicy(text, shown, dirname(path));
}
