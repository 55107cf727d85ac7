import {
  collectProofs,
  ImageFault,
  openProofRepository,
  ProofFault,
  parseReference,
  predicateTypes,
  readPolicy,
  type Verdict,
  verifyImage,
} from '../../image/index.ts';
import { type RegistryReach, reachOf } from '../push.ts';

/** Holds one image in a registry against a policy file. @throws ProofFault proof/bad-policy, proof/bad-key */
export async function verifyReference(
  request: RegistryReach & {
    readonly reference: string;
    readonly policy: string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Verdict> {
  const { reference, signal } = request;
  const policy = await readPolicy(request.policy);
  return verifyImage({ reference, policy, ...(await reachOf(reference, request)), signal });
}

/**
 * The bill of materials that stands beside an image.
 *
 * @param request.policy only what a key signed that the policy takes for it; whatever is there unless told
 * @throws ProofFault proof/refused where there is none; proof/bad-policy; ImageFault where the image is not there
 */
export async function attachedBill(
  request: RegistryReach & {
    readonly reference: string;
    readonly policy?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Readonly<Record<string, unknown>>> {
  const { reference, signal } = request;
  const policy = request.policy === undefined ? undefined : await readPolicy(request.policy);
  const parsed = parseReference(reference);
  const repository = await openProofRepository(parsed, 'pull', { ...(await reachOf(reference, request)), signal });
  try {
    const found = await repository.head(parsed.digest ?? parsed.tag ?? 'latest');
    if (found === undefined) {
      throw new ImageFault('image/registry-not-found', `${parsed.registry} does not have ${reference}`);
    }
    const keys = new Map(policy?.sbom?.signedBy.map((name) => [name, policy.keys.get(name)!]));
    const { proofs } = await collectProofs(repository, found.digest);
    for (const proof of proofs) {
      if (policy !== undefined && proof.signedBy(keys).length === 0) continue;
      const { predicateType, predicate, subject } = proof.statement();
      const about = subject.some(({ digest }) => `sha256:${digest?.sha256}` === found.digest);
      if (about && predicateType === predicateTypes.sbom && predicate.bomFormat === 'CycloneDX') return predicate;
    }
    const whose = policy === undefined ? '' : ` that fulfils ${policy.file}`;
    throw new ProofFault('proof/refused', `there is no bill of materials${whose} beside ${reference}`, {
      next: 'make one where the image is built: banksman image attest LABEL',
    });
  } finally {
    repository.close();
  }
}
