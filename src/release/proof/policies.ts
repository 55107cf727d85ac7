import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Workspace } from '../../graph/index.ts';
import { type Policy, readPolicy } from '../../image/index.ts';
import { policyOf } from './check.ts';
import { policySum } from './policy-sum.ts';

/** A policy as it was when it was read. */
export interface PinnedPolicy {
  readonly policy: Policy;
  readonly text: string;
  /** SHA-256 over its text and its keys, in hex. */
  readonly sum: string;
}

/**
 * Reads the policies that environments name, once: what a server holds releases against does not change under it.
 *
 * @returns by the path that banksman.yaml gives
 * @throws ProofFault proof/bad-policy, proof/bad-key
 */
export async function readPolicies({
  root,
  environments,
}: Pick<Workspace, 'root' | 'environments'>): Promise<ReadonlyMap<string, PinnedPolicy>> {
  const files = new Set([...environments.values()].flatMap((environment) => policyOf(environment) ?? []));
  const entries = [...files].map(async (file): Promise<[string, PinnedPolicy]> => {
    const path = join(root, file);
    const policy = await readPolicy(path, file);
    const text = await readFile(path, 'utf8');
    return [file, { policy, text, sum: policySum(text, policy.keys) }];
  });
  return new Map(await Promise.all(entries));
}
