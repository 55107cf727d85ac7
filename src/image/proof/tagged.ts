import { canonicalJson } from '../canonical.ts';
import { type Digest, digestOf, hexOf, isDigest } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { type Descriptor, mediaTypes, parseManifest } from '../manifest.ts';
import { formatReference } from '../names.ts';
import { maximumBundle } from './bundle.ts';
import { envelopeToJson, intotoPayload, parseEnvelope, signEnvelope, signersOf } from './dsse.ts';
import { ProofFault } from './fault.ts';
import { fetchBlob } from './fetch-blob.ts';
import { isSignedBy } from './keys/public-key.ts';
import type { Signer } from './keys/signer.ts';
import type { Proof } from './proof.ts';
import type { ProofRepository } from './referrers.ts';
import { formatStatement, isObject, parseStatement, predicateTypes, type Statement } from './statement.ts';

/**
 * The form of cosign 2: a manifest under a tag that is made of the image's digest, with a layer for each signature (`.sig`, in the
 * "simple signing" of containers/image) or attestation (`.att`, a DSSE envelope). cosign, specs/SIGNATURE_SPEC.md.
 */
const layerTypes = {
  sig: 'application/vnd.dev.cosign.simplesigning.v1+json',
  att: 'application/vnd.dsse.envelope.v1+json',
} as const;

type Ending = keyof typeof layerTypes;

const signatureAnnotation = 'dev.cosignproject.cosign/signature';
const simpleSigningType = 'cosign container image signature';

/** Layers of one tag that are looked at. */
const maximumLayers = 200;

/** What stands behind a tag of an image, each with the bytes that it took. Nothing where there is no such tag. */
export async function* taggedProofs(
  repository: ProofRepository,
  subject: Digest,
  ending: Ending,
  room: number,
): AsyncGenerator<{ readonly size: number; read(): Proof }> {
  const found = await readTag(repository, subject, ending);
  if (found === undefined) return;
  let left = room;
  for (const layer of found.layers) {
    if (layer.mediaType !== layerTypes[ending]) continue;
    if (layer.size > maximumBundle) {
      throw new ProofFault(
        'proof/bad-attestation',
        `the tag ${tagOf(subject, ending)} has a layer of ${layer.size} bytes`,
      );
    }
    const bytes = await fetchBlob(repository, layer, subject, left);
    left -= bytes.length;
    const read = () =>
      ending === 'sig' ? signatureProof(bytes, layer, found.digest) : attestationProof(bytes, found.digest);
    yield { size: bytes.length, read };
  }
}

/** Signs statements in this form, beside the bundles. What this key has said in it before is not said again. */
export async function tagStatements(
  repository: ProofRepository,
  subject: Descriptor,
  statements: readonly Statement[],
  signer: Signer,
): Promise<Digest[]> {
  const sent: Digest[] = [];
  const isSignature = ({ predicateType }: Statement) => predicateType === predicateTypes.signature;
  for (const ending of ['sig', 'att'] as const) {
    const own = statements.filter((each) => isSignature(each) === (ending === 'sig'));
    if (own.length === 0) continue;
    const there = (await readTag(repository, subject.digest, ending))?.layers ?? [];
    const said = await payloadsOf(repository, subject.digest, ending, signer);
    const layers: Descriptor[] = [];
    for (const statement of own) {
      const payload = ending === 'sig' ? simpleSigning(repository, subject.digest) : formatStatement(statement);
      if (said.has(payload.toString('base64'))) continue;
      layers.push(await sendLayer(repository, ending, payload, statement, signer));
    }
    if (layers.length > 0) sent.push(await sendTag(repository, subject.digest, ending, [...there, ...layers]));
  }
  return sent;
}

function tagOf(subject: Digest, ending: Ending): string {
  return `sha256-${hexOf(subject)}.${ending}`;
}

async function readTag(
  repository: ProofRepository,
  subject: Digest,
  ending: Ending,
): Promise<{ readonly digest: Digest; readonly layers: readonly Descriptor[] } | undefined> {
  const tag = tagOf(subject, ending);
  if ((await repository.head(tag)) === undefined) return undefined;
  const { bytes, mediaType, digest } = await repository.manifest(tag);
  const parsed = parseManifest(bytes, mediaType, `the tag ${tag}`);
  if ('index' in parsed) throw new ProofFault('proof/bad-attestation', `the tag ${tag} is an index`);
  const { layers } = parsed.manifest;
  if (layers.length > maximumLayers)
    throw new ImageFault('image/too-large', `the tag ${tag} has ${layers.length} layers`);
  return { digest, layers };
}

async function payloadsOf(repository: ProofRepository, subject: Digest, ending: Ending, signer: Signer) {
  const said = new Set<string>();
  const key = new Map([['signer', signer.publicKey]]);
  for await (const { read } of taggedProofs(repository, subject, ending, maximumBundle)) {
    try {
      const proof = read();
      if (proof.signedBy(key).length > 0) said.add(proof.payload.toString('base64'));
    } catch (error) {
      // Of somebody else: it stays as it is.
      if (!(error instanceof ProofFault)) throw error;
    }
  }
  return said;
}

async function sendLayer(
  repository: ProofRepository,
  ending: Ending,
  payload: Buffer,
  { predicateType }: Statement,
  signer: Signer,
): Promise<Descriptor> {
  if (ending === 'sig') {
    const signature = Buffer.from(await signer.sign(payload)).toString('base64');
    return sendBlob(repository, layerTypes.sig, payload, { [signatureAnnotation]: signature });
  }
  const envelope = await signEnvelope(intotoPayload, payload, signer);
  const bytes = Buffer.from(canonicalJson(envelopeToJson(envelope)));
  // An attestation has its signature within: cosign wants the annotation, and nothing in it.
  return sendBlob(repository, layerTypes.att, bytes, { [signatureAnnotation]: '', predicateType });
}

async function sendTag(
  repository: ProofRepository,
  subject: Digest,
  ending: Ending,
  layers: readonly Descriptor[],
): Promise<Digest> {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const configuration = canonicalJson({
    architecture: '',
    os: '',
    config: {},
    rootfs,
    history: layers.map(() => ({})),
  });
  const config = await sendBlob(repository, mediaTypes.config, Buffer.from(configuration));
  const manifest = Buffer.from(canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers }));
  await repository.putManifest(tagOf(subject, ending), mediaTypes.manifest, manifest);
  return digestOf(manifest);
}

async function sendBlob(
  repository: ProofRepository,
  mediaType: string,
  bytes: Buffer,
  annotations?: Readonly<Record<string, string>>,
): Promise<Descriptor> {
  const digest = digestOf(bytes);
  if (!(await repository.hasBlob(digest))) {
    await repository.putBlob(digest, bytes.length, async function* (start: number) {
      yield bytes.subarray(start);
    });
  }
  return { mediaType, digest, size: bytes.length, ...(annotations !== undefined && { annotations }) };
}

/** containers/image, docs/signature-protocols.md: what a simple signature is over. */
function simpleSigning({ registry, repository }: ProofRepository, subject: Digest): Buffer {
  const critical = {
    identity: { 'docker-reference': formatReference({ registry, repository }) },
    image: { 'docker-manifest-digest': subject },
    type: simpleSigningType,
  };
  return Buffer.from(canonicalJson({ critical, optional: null }));
}

/** A simple signature as the statement that says the same. */
function signatureProof(payload: Buffer, { annotations, digest: layer }: Descriptor, digest: Digest): Proof {
  const what = `the signature ${layer.slice(0, 'sha256:'.length + 12)}`;
  const signature = Buffer.from(annotations?.[signatureAnnotation] ?? '', 'base64');
  return {
    digest,
    form: 'tag',
    bundle: digestOf(Buffer.concat([payload, signature])),
    payload,
    signedBy: (keys) => [...keys].flatMap(([name, key]) => (isSignedBy(key, payload, signature) ? [name] : [])),
    statement() {
      const bad = (why: string) =>
        new ProofFault('proof/bad-attestation', `${what} is no signature of an image: ${why}`);
      let json: unknown;
      try {
        json = JSON.parse(payload.toString('utf8'));
      } catch {
        throw bad('it is not JSON');
      }
      const critical = isObject(json) ? json.critical : undefined;
      const image = isObject(critical) ? critical.image : undefined;
      if (!isObject(critical) || critical.type !== simpleSigningType) throw bad('it has another type');
      const named = isObject(image) ? image['docker-manifest-digest'] : undefined;
      if (typeof named !== 'string' || !isDigest(named)) throw bad('it names no image');
      return {
        subject: [{ digest: { sha256: hexOf(named) } }],
        predicateType: predicateTypes.signature,
        predicate: {},
      };
    },
  };
}

function attestationProof(bytes: Buffer, digest: Digest): Proof {
  const what = `the attestation ${digestOf(bytes).slice(0, 'sha256:'.length + 12)}`;
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new ProofFault('proof/bad-attestation', `${what} is not JSON`);
  }
  const envelope = parseEnvelope(json, what);
  if (envelope.payloadType !== intotoPayload)
    throw new ProofFault('proof/bad-attestation', `${what} holds no in-toto statement`);
  return {
    digest,
    form: 'tag',
    bundle: digestOf(bytes),
    payload: envelope.payload,
    signedBy: (keys) => signersOf(envelope, keys),
    statement: () => parseStatement(envelope.payload, what),
  };
}
