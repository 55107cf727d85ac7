import { canonicalJson } from '../canonical.ts';
import { ProofFault } from './fault.ts';

/** in-toto attestation v1, digest_set.md: hex digits by the name of the algorithm. */
export type DigestSet = Readonly<Record<string, string>>;

/** in-toto attestation v1, resource_descriptor.md. */
export interface ResourceDescriptor {
  readonly name?: string;
  readonly uri?: string;
  readonly digest?: DigestSet;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

/** What somebody says of something. in-toto attestation v1, statement.md. */
export interface Statement {
  readonly subject: readonly ResourceDescriptor[];
  readonly predicateType: string;
  readonly predicate: Readonly<Record<string, unknown>>;
}

/** Predicate types that are written and understood here. */
export const predicateTypes = {
  /** "This image is meant": what `cosign sign` says. */
  signature: 'https://sigstore.dev/cosign/sign/v1',
  /** SLSA v1.2, build provenance. The version of the specification is not part of the name. */
  provenance: 'https://slsa.dev/provenance/v1',
  sbom: 'https://cyclonedx.org/bom',
  /** docs/proof.md, "Reviews". */
  review: 'https://banksman.local/review/v1',
} as const;

const statementType = 'https://in-toto.io/Statement/v1';

/** Subjects of one statement that are looked at. */
const maximumSubjects = 1000;

/** One spelling for one statement: what is said twice is the same text. */
export function formatStatement({ subject, predicateType, predicate }: Statement): Buffer {
  return Buffer.from(canonicalJson({ _type: statementType, subject, predicateType, predicate }));
}

/** @throws ProofFault proof/bad-attestation */
export function parseStatement(bytes: Uint8Array, what: string): Statement {
  const bad = (why: string) => new ProofFault('proof/bad-attestation', `${what} is no in-toto statement: ${why}`);
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw bad('it is not JSON');
  }
  if (!isObject(json)) throw bad('it is no object');
  // v0.1 is what cosign 2 writes; the parts that are read here are the same.
  if (json._type !== statementType && json._type !== 'https://in-toto.io/Statement/v0.1')
    throw bad('it has another _type');
  const { subject, predicateType, predicate = {} } = json;
  if (typeof predicateType !== 'string' || predicateType === '') throw bad('it has no predicateType');
  if (!isObject(predicate)) throw bad('its predicate is no object');
  if (!Array.isArray(subject) || subject.length === 0) throw bad('it has no subject');
  if (subject.length > maximumSubjects) throw bad(`it has more than ${maximumSubjects} subjects`);
  for (const entry of subject) {
    if (!isObject(entry) || !isDigestSet(entry.digest)) throw bad('a subject has no digest');
  }
  return { subject: subject as ResourceDescriptor[], predicateType, predicate };
}

function isDigestSet(value: unknown): boolean {
  const entries = isObject(value) ? Object.values(value) : [];
  return entries.length > 0 && entries.every((entry) => typeof entry === 'string' && /^[0-9a-f]+$/.test(entry));
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
