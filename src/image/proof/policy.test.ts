import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { renderFault } from '../../fault/index.ts';
import { testFolder } from '../testing/folder.ts';
import { generateKeys } from './keys/generate.ts';
import { readPolicy } from './read-policy.ts';

let ci: string;
let reviews: string;

beforeAll(async () => {
  ci = (await generateKeys('')).publicKey;
  reviews = (await generateKeys('')).publicKey;
});

async function read(text: string, files: Record<string, string> = {}) {
  const folder = await testFolder();
  await writeFile(join(folder, 'ci.pub'), ci);
  await writeFile(join(folder, 'review.pub'), reviews);
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  await writeFile(join(folder, 'prod.yaml'), text);
  return readPolicy(join(folder, 'prod.yaml'), 'policies/prod.yaml');
}

async function told(text: string, files?: Record<string, string>): Promise<string> {
  return read(text, files).then(
    () => 'no fault',
    (error: unknown) => renderFault(error),
  );
}

test('a whole policy', async () => {
  const policy = await read(`mode: audit
keys:
  ci: ci.pub
  review: |
${reviews.replace(/^/gm, '    ').trimEnd()}
signed_by: [ci]
provenance:
  signed_by: [ci]
  builders: [https://ci.example/builder]
  workspaces: [bank]
  sources: [git+https://git.example/bank]
  edits: false
sbom:
  signed_by: [ci]
review:
  signed_by: [review]
  approvals: 2
`);
  expect(policy).toMatchObject({
    mode: 'audit',
    signedBy: ['ci'],
    provenance: { signedBy: ['ci'], builders: ['https://ci.example/builder'], workspaces: ['bank'], edits: false },
    sbom: { signedBy: ['ci'] },
    review: { signedBy: ['review'], approvals: 2 },
  });
  expect([...policy.keys.keys()]).toEqual(['ci', 'review']);
});

test('the least policy enforces', async () => {
  expect(await read('keys: { ci: ci.pub }\nsigned_by: [ci]\n')).toMatchObject({ mode: 'enforce', signedBy: ['ci'] });
});

describe('what is refused, with its place', () => {
  const start = 'keys: { ci: ci.pub }\nsigned_by: [ci]\n';
  test.each([
    ['an empty file', '', /is empty/],
    ['no YAML', 'keys: [', /not valid YAML/],
    ['an unknown key', `${start}provenence: {}\n`, /policies\/prod.yaml:3:1[\s\S]*did you mean provenance/],
    ['an unknown key below', `${start}sbom: { signed: [ci] }\n`, /policies\/prod.yaml:3/],
    ['no keys', 'signed_by: [ci]\n', /keys is missing/],
    ['nobody who signs', 'keys: { ci: ci.pub }\n', /signed_by is missing/],
    ['an empty list of signers', 'keys: { ci: ci.pub }\nsigned_by: []\n', /nobody could sign/],
    ['a signer without a key', 'keys: { ci: ci.pub }\nsigned_by: [cd]\n', /prod.yaml:2:13[\s\S]*the keys are ci/],
    ['a key file that is absent', 'keys: { ci: no.pub }\nsigned_by: [ci]\n', /no.pub can't be read: ENOENT/],
    ['one key with two names', 'keys: { ci: ci.pub, cd: ci.pub }\nsigned_by: [ci]\n', /same key as ci/],
    ['another mode', `${start}mode: off\n`, /enforce or audit/],
    ['provenance of any builder', `${start}provenance: { signed_by: [ci] }\n`, /builders is missing/],
    ['a review without provenance', `${start}review: { signed_by: [ci] }\n`, /needs provenance/],
    [
      'no approvals',
      `${start}provenance: { signed_by: [ci], builders: [x] }\nreview: { signed_by: [ci], approvals: 0 }\n`,
      /from 1 to 100/,
    ],
    ['an alias', `${start}sbom: &a { signed_by: [ci] }\nreview: *a\n`, /alias/],
  ])('%s', async (_, text, expected) => {
    const fault = await told(text);
    expect(fault).toMatch(/error\[proof\/bad-policy\]/);
    expect(fault).toMatch(expected);
  });

  test('a private key, which is not shown', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const fault = await told(start, { 'ci.pub': pem });
    expect(fault).toMatch(/proof\/bad-key.*the key ci of policies\/prod.yaml is a private key/);
    expect(fault).not.toContain(pem.split('\n')[1]);
  });

  test('a file that is absent', async () => {
    await expect(readPolicy('/nowhere/p.yaml')).rejects.toMatchObject({ code: 'proof/bad-policy' });
  });
});
