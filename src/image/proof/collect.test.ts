import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../canonical.ts';
import { type Digest, digestOf } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { type Descriptor, mediaTypes } from '../manifest.ts';
import { attachBundle } from './attach.ts';
import { bundleMediaType, formatBundle, maximumBundle, parseBundle } from './bundle.ts';
import { collectProofs } from './collect.ts';
import { intotoPayload, signEnvelope } from './dsse.ts';
import { ProofFault } from './fault.ts';
import { generateKeys } from './keys/generate.ts';
import { type Signer, signerOf } from './keys/signer.ts';
import type { ProofRepository } from './referrers.ts';
import { formatStatement, parseStatement, predicateTypes } from './statement.ts';

const image: Descriptor = { mediaType: mediaTypes.manifest, digest: digestOf('image'), size: 5 };

/** A repository in memory that gives whatever it holds, checked by nobody. */
function memory() {
  const manifests = new Map<string, Uint8Array>();
  const blobs = new Map<string, Uint8Array>();
  const listed: Descriptor[] = [];
  const repository = {
    registry: 'r.example',
    repository: 'x',
    referrers: async () => listed,
    head: async () => undefined,
    async putReferrer(descriptor: Descriptor, bytes: Uint8Array) {
      manifests.set(descriptor.digest, bytes);
      listed.push(descriptor);
    },
    async manifest(digest: string) {
      const bytes = manifests.get(digest);
      if (bytes === undefined) throw new ImageFault('image/registry-not-found', `there is no ${digest}`);
      return { digest: digest as Digest, mediaType: mediaTypes.manifest, bytes: Buffer.from(bytes) };
    },
    hasBlob: async (digest: string) => blobs.has(digest),
    async putBlob(digest: string, size: number, source: (start: number) => AsyncIterable<Uint8Array>) {
      const parts: Uint8Array[] = [];
      for await (const piece of source(0)) parts.push(piece);
      blobs.set(digest, Buffer.concat(parts));
      return size;
    },
    async *blob(digest: string) {
      yield blobs.get(digest) ?? Buffer.alloc(0);
    },
  };
  /** Lists a manifest as it is. */
  const list = (manifest: object, artifactType: string | undefined = bundleMediaType) => {
    const bytes = Buffer.from(canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.manifest, ...manifest }));
    const descriptor = { mediaType: mediaTypes.manifest, digest: digestOf(bytes), size: bytes.length };
    manifests.set(descriptor.digest, bytes);
    listed.push({ ...descriptor, ...(artifactType !== undefined && { artifactType }) });
  };
  return { repository: repository as unknown as ProofRepository, list, listed, blobs };
}

async function newSigner(): Promise<Signer> {
  return signerOf((await generateKeys('')).privateKey, async () => '', 'a key');
}

async function signed(signer: Signer): Promise<Buffer> {
  const subject = [{ digest: { sha256: image.digest.slice('sha256:'.length) } }];
  const payload = formatStatement({ subject, predicateType: predicateTypes.signature, predicate: {} });
  return formatBundle(await signEnvelope(intotoPayload, payload, signer), signer.publicKey);
}

const empty = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 };
const layer = (bytes: Uint8Array, change: object = {}) => ({
  mediaType: bundleMediaType,
  digest: digestOf(bytes),
  size: bytes.length,
  ...change,
});

test('what is no bundle does not hide one that is', async () => {
  const signer = await newSigner();
  const bundle = await signed(signer);
  const { repository, list, blobs } = memory();
  blobs.set(digestOf(bundle), bundle);
  list({ config: empty, layers: [], subject: image });
  list({ config: empty, layers: [layer(bundle), layer(bundle)], subject: image });
  list({ config: empty, layers: [layer(bundle)], subject: { ...image, digest: digestOf('another image') } });
  list({ config: empty, layers: [layer(bundle)] });
  list({ config: empty, layers: [layer(bundle, { mediaType: 'text/plain' })], subject: image });
  list({ config: empty, layers: [layer(bundle, { size: maximumBundle + 1 })], subject: image });
  list({ manifests: [], mediaType: mediaTypes.index });
  list({ nothing: true }, undefined);
  await attachBundle(repository, image, Buffer.from('no bundle'), predicateTypes.signature);
  await attachBundle(repository, image, bundle, predicateTypes.signature);
  const { proofs, unusable } = await collectProofs(repository, image.digest);
  expect(proofs.map((proof) => proof.signedBy(new Map([['ci', signer.publicKey]])))).toEqual([['ci']]);
  expect(unusable).toHaveLength(9);
});

test('what refers to an image and is something else is not looked at', async () => {
  const { repository, listed } = memory();
  listed.push({ ...image, digest: digestOf('absent'), artifactType: 'application/spdx+json' });
  expect(await collectProofs(repository, image.digest)).toEqual({ proofs: [], unusable: [] });
});

test('other bytes than a manifest names, and more of them, stop everything', async () => {
  const bundle = await signed(await newSigner());
  for (const bytes of [Buffer.concat([bundle, Buffer.from('x')]), Buffer.from(bundle.toString().replace('{', ' '))]) {
    const { repository, list, blobs } = memory();
    blobs.set(digestOf(bundle), bytes);
    list({ config: empty, layers: [layer(bundle)], subject: image });
    await expect(collectProofs(repository, image.digest)).rejects.toMatchObject({ code: 'image/wrong-content' });
  }
});

test('more bundles than anybody needs are refused before any is fetched', async () => {
  const { repository, listed } = memory();
  for (let index = 0; index < 201; index++) {
    listed.push({ ...image, digest: digestOf(`${index}`), artifactType: bundleMediaType });
  }
  await expect(collectProofs(repository, image.digest)).rejects.toMatchObject({ code: 'image/too-large' });
});

test('a manifest that is listed and not there is no absence of proof, but an error', async () => {
  const { repository, listed } = memory();
  listed.push({ ...image, digest: digestOf('gone'), artifactType: bundleMediaType });
  await expect(collectProofs(repository, image.digest)).rejects.toMatchObject({ code: 'image/registry-not-found' });
});

test('whatever bytes come, there is a statement or a fault of ours', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .record({
        _type: fc.constant('https://in-toto.io/Statement/v1'),
        subject: fc.jsonValue(),
        predicateType: fc.jsonValue(),
        predicate: fc.jsonValue(),
      })
      .map((value) => Buffer.from(JSON.stringify(value))),
    fc
      .record({
        mediaType: fc.constant(bundleMediaType),
        dsseEnvelope: fc.record({ payload: fc.jsonValue(), payloadType: fc.jsonValue(), signatures: fc.jsonValue() }),
      })
      .map((value) => Buffer.from(JSON.stringify(value))),
  );
  fc.assert(
    fc.property(bytes, (input) => {
      for (const parse of [parseBundle, parseStatement]) {
        try {
          parse(input, 'it');
        } catch (error) {
          expect(error).toBeInstanceOf(ProofFault);
        }
      }
    }),
    { numRuns: 500 },
  );
});
