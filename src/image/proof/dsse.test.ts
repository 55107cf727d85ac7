import { describe, expect, test } from 'vitest';
import { bundleMediaType, formatBundle, parseBundle } from './bundle.ts';
import { type Envelope, preAuthEncoding, signEnvelope, signersOf } from './dsse.ts';
import { generateKeys } from './keys/generate.ts';
import { parsePublicKey } from './keys/public-key.ts';
import { signerOf } from './keys/signer.ts';
import { formatStatement, parseStatement } from './statement.ts';

async function newSigner() {
  const { privateKey } = await generateKeys('');
  return signerOf(privateKey, async () => '', 'the key');
}

test('what is signed is encoded as the specification shows it', () => {
  const encoded = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
  expect(encoded.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
});

describe('an envelope', () => {
  test('names those of the keys that signed it', async () => {
    const signer = await newSigner();
    const stranger = parsePublicKey((await generateKeys('')).publicKey, 'stranger');
    const keys = new Map([
      ['stranger', stranger],
      ['ci', signer.publicKey],
    ]);
    const envelope = await signEnvelope('text/plain', Buffer.from('yes'), signer);
    const read = parseBundle(formatBundle(envelope, signer.publicKey), 'the bundle');
    expect(signersOf(read, keys)).toEqual(['ci']);
    const changes: Partial<Envelope>[] = [
      { payload: Buffer.from('yes!') },
      { payloadType: 'text/html' },
      { signatures: [Buffer.alloc(70)] },
    ];
    for (const change of changes) expect(signersOf({ ...read, ...change }, keys)).toEqual([]);
  });

  test.each([
    ['nothing', ''],
    ['no JSON', 'x'],
    ['a list', '[]'],
    ['another media type', '{"mediaType":"text/plain"}'],
    ['no envelope', JSON.stringify({ mediaType: bundleMediaType })],
    ['no signature', bundle({ payloadType: 't', payload: '', signatures: [] })],
    ['a signature that is none', bundle({ payloadType: 't', payload: '', signatures: [{ sig: '<>' }] })],
    ['very many signatures', bundle({ payloadType: 't', payload: '', signatures: Array(100).fill({ sig: '' }) })],
    ['a payload that is no text', bundle({ payloadType: 't', payload: 1, signatures: [{ sig: '' }] })],
  ])('with %s is refused', (_, text) => {
    expect(() => parseBundle(Buffer.from(text), 'the bundle')).toThrow(
      expect.objectContaining({ code: 'proof/bad-attestation' }),
    );
  });
});

describe('a statement', () => {
  test('has one spelling', () => {
    const digest = { sha256: 'ab' };
    const one = formatStatement({ subject: [{ name: 'a', digest }], predicateType: 't', predicate: { b: 1, a: 2 } });
    const two = formatStatement({ predicate: { a: 2, b: 1 }, predicateType: 't', subject: [{ digest, name: 'a' }] });
    expect(one).toEqual(two);
    expect(parseStatement(one, 'it')).toMatchObject({ predicateType: 't', predicate: { a: 2 } });
  });

  test.each([
    '{}',
    '{"_type":"https://in-toto.io/Statement/v1","predicateType":"t","predicate":{},"subject":[]}',
    '{"_type":"https://in-toto.io/Statement/v1","predicateType":"t","predicate":{},"subject":[{"name":"a"}]}',
    '{"_type":"https://in-toto.io/Statement/v1","predicateType":"t","predicate":{},"subject":[{"digest":{"sha256":1}}]}',
    '{"_type":"https://in-toto.io/Statement/v1","predicateType":"t","predicate":[],"subject":[{"digest":{"sha256":"ab"}}]}',
    '{"_type":"other","predicateType":"t","predicate":{},"subject":[{"digest":{"sha256":"ab"}}]}',
  ])('%s is refused', (text) => {
    expect(() => parseStatement(Buffer.from(text), 'it')).toThrow(
      expect.objectContaining({ code: 'proof/bad-attestation' }),
    );
  });
});

function bundle(dsseEnvelope: object): string {
  return JSON.stringify({ mediaType: bundleMediaType, dsseEnvelope });
}
