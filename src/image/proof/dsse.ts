import { ProofFault } from './fault.ts';
import { isSignedBy, type PublicKey } from './keys/public-key.ts';
import type { Signer } from './keys/signer.ts';

/** A signed text with its type. DSSE v1.0.2, envelope.md. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Buffer;
  readonly signatures: readonly Buffer[];
}

/** What an in-toto statement is called in an envelope. */
export const intotoPayload = 'application/vnd.in-toto+json';

/** Signatures in one envelope that are looked at. */
const maximumSignatures = 16;

/** What is signed: type and payload, each with its length, so that no two pairs look alike. DSSE v1.0.2, protocol.md, "PAE". */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

export async function signEnvelope(payloadType: string, payload: Uint8Array, signer: Signer): Promise<Envelope> {
  const signature = await signer.sign(preAuthEncoding(payloadType, payload));
  return { payloadType, payload: Buffer.from(payload), signatures: [Buffer.from(signature)] };
}

/** Names of those keys that have signed the envelope, in the order given. */
export function signersOf(envelope: Envelope, keys: ReadonlyMap<string, PublicKey>): string[] {
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  return [...keys].flatMap(([name, key]) =>
    envelope.signatures.some((signature) => isSignedBy(key, message, signature)) ? [name] : [],
  );
}

export function envelopeToJson({ payloadType, payload, signatures }: Envelope): object {
  return {
    payload: payload.toString('base64'),
    payloadType,
    signatures: signatures.map((signature) => ({ sig: signature.toString('base64') })),
  };
}

/** @throws ProofFault proof/bad-attestation */
export function parseEnvelope(json: unknown, what: string): Envelope {
  const bad = (why: string) => new ProofFault('proof/bad-attestation', `${what} is no DSSE envelope: ${why}`);
  if (json === null || typeof json !== 'object') throw bad('it is no object');
  const { payloadType, payload, signatures } = json as Record<string, unknown>;
  if (typeof payloadType !== 'string' || payloadType === '') throw bad('it has no payloadType');
  if (typeof payload !== 'string') throw bad('it has no payload');
  if (!Array.isArray(signatures) || signatures.length === 0) throw bad('it has no signature');
  if (signatures.length > maximumSignatures) throw bad(`it has more than ${maximumSignatures} signatures`);
  return {
    payloadType,
    payload: decode(payload, bad),
    signatures: signatures.map((entry: unknown) => {
      const sig = (entry as { sig?: unknown } | null)?.sig;
      if (typeof sig !== 'string') throw bad('a signature is no text');
      return decode(sig, bad);
    }),
  };
}

/** Standard or URL-safe base64: readers must take both. */
function decode(text: string, bad: (why: string) => ProofFault): Buffer {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw bad('it has text that is not base64');
  return Buffer.from(text, 'base64');
}
