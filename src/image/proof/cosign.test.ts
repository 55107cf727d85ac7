import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { findProgram } from '../../../test/support/go-programs.ts';
import { type Digest, hexOf } from '../digest.ts';
import { testFolder } from '../testing/folder.ts';
import { withoutReferrers } from '../testing/local-registry.ts';
import { startRegistry } from '../testing/registry.ts';
import { attachBundle, attachStatements } from './attach.ts';
import { formatBundle } from './bundle.ts';
import { collectProofs } from './collect.ts';
import { intotoPayload, signEnvelope } from './dsse.ts';
import { generateKeys } from './keys/generate.ts';
import { openSigner } from './keys/open.ts';
import { parsePublicKey } from './keys/public-key.ts';
import { signerOf } from './keys/signer.ts';
import type { Policy } from './policy.ts';
import { provenanceOf } from './provenance.ts';
import { openProofRepository } from './referrers.ts';
import { billOfMaterials } from './sbom/bill.ts';
import { formatStatement, predicateTypes, type Statement } from './statement.ts';
import { tagStatements } from './tagged.ts';
import { verifyImage } from './verify.ts';

const program = findProgram('cosign');

/** Runs cosign with nothing of this machine's user. @returns its exit code with what it printed */
async function cosign(folder: string, args: readonly string[], env: Record<string, string> = {}) {
  return runCosign(program!, folder, args, env);
}

async function runCosign(path: string, folder: string, args: readonly string[], env: Record<string, string> = {}) {
  const own = { PATH: process.env.PATH, HOME: folder, COSIGN_PASSWORD: 'secret', ...env };
  return promisify(execFile)(path, args, { cwd: folder, env: own, timeout: 60_000 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

const withKey = ['--key', 'cosign.pub', '--insecure-ignore-tlog=true'];
const password = async () => 'secret';

async function newKeys(folder: string) {
  const pair = await generateKeys('secret');
  await writeFile(join(folder, 'cosign.key'), pair.privateKey, { mode: 0o600 });
  await writeFile(join(folder, 'cosign.pub'), pair.publicKey);
  return signerOf(pair.privateKey, password, 'the key');
}

function statementsOf(digest: Digest): Statement[] {
  const name = 'bank/ledger';
  const layer = digest;
  const pack = { name: 'libc6', version: '2.36-9+deb12u14', architecture: 'amd64', source: 'glibc', layer };
  const bill = billOfMaterials({
    name,
    digest,
    inventory: {
      packages: [{ ...pack, licences: ['LGPL-2.1+'] }],
      files: [{ path: 'app/ledger.jar', sha256: 'ab'.repeat(32), layer }],
      unlisted: [],
      system: { id: 'debian', version: '12' },
    },
    modules: [{ ecosystem: 'maven', namespace: 'org.x', name: 'y', version: '1', licences: ['BSD-2-Clause'] }],
    archives: new Map(),
    version: '0.1.0',
  });
  const provenance = provenanceOf({
    name,
    digest,
    label: '//bank/ledger:image',
    workspace: 'bank',
    source: { uri: 'git+https://git.example/bank', commit: 'c'.repeat(40), tree: 'd'.repeat(40), edits: false },
    platforms: ['linux/amd64'],
    toolchains: { java: 'javac 17' },
    reproducible: true,
    materials: [{ name: 'y', uri: 'pkg:maven/org.x/y@1?type=jar', digest: { sha256: 'ab'.repeat(32) } }],
    builder: {
      id: 'https://ci.example/builder',
      version: { banksman: '0.1.0' },
      invocation: 'https://ci.example/runs/1',
    },
  });
  const subject = [{ name, digest: { sha256: hexOf(digest) } }];
  return [
    { subject, predicateType: predicateTypes.signature, predicate: {} },
    provenance,
    { subject, predicateType: predicateTypes.sbom, predicate: bill },
  ];
}

describe.skipIf(program === undefined)('with the real cosign', () => {
  test('it verifies what is signed here, and refuses another key and another image', async () => {
    const folder = await testFolder();
    const signer = await newKeys(folder);
    const registry = await startRegistry();
    const { subject, reference } = await registry.push('bank/ledger', 'one');
    const repository = await openProofRepository({ registry: registry.host, repository: 'bank/ledger' }, 'pull,push', {
      transport: { plainHttp: true },
    });
    expect(await attachStatements(repository, subject, statementsOf(subject.digest), signer)).toHaveLength(3);
    // The same again says nothing new.
    expect(await attachStatements(repository, subject, statementsOf(subject.digest), signer)).toEqual([]);

    const verified = await cosign(folder, ['verify', ...withKey, reference]);
    expect(verified, verified.stderr).toMatchObject({ code: 0 });
    expect(verified.stdout).toContain(subject.digest);
    for (const type of ['slsaprovenance1', 'cyclonedx']) {
      const attested = await cosign(folder, ['verify-attestation', ...withKey, '--type', type, reference]);
      expect(attested, attested.stderr).toMatchObject({ code: 0 });
      const [line = ''] = attested.stdout.trim().split('\n');
      const statement = JSON.parse(Buffer.from(JSON.parse(line).payload, 'base64').toString());
      const expected = statementsOf(subject.digest)[type === 'cyclonedx' ? 2 : 1];
      expect(statement).toMatchObject({ predicateType: expected?.predicateType, predicate: expected?.predicate });
    }

    const other = await testFolder();
    await newKeys(other);
    expect(await cosign(other, ['verify', ...withKey, reference])).toMatchObject({ code: expect.any(Number) });
    expect((await cosign(other, ['verify', ...withKey, reference])).code).not.toBe(0);

    // What was said of one image, put beside another.
    const second = await registry.push('bank/ledger', 'two');
    const proofs = await collectProofs(repository, subject.digest);
    expect(proofs.proofs).toHaveLength(3);
    await attachStatements(repository, second.subject, statementsOf(subject.digest), signer);
    expect((await cosign(folder, ['verify', ...withKey, second.reference])).code).not.toBe(0);

    // A payload that was edited after it was signed.
    const third = await registry.push('bank/ledger', 'three');
    const [signature] = statementsOf(subject.digest);
    const envelope = await signEnvelope(intotoPayload, formatStatement(signature!), signer);
    const [edited] = statementsOf(third.subject.digest);
    const bundle = formatBundle({ ...envelope, payload: formatStatement(edited!) }, signer.publicKey);
    await attachBundle(repository, third.subject, bundle, predicateTypes.signature);
    expect((await cosign(folder, ['verify', ...withKey, third.reference])).code).not.toBe(0);
    repository.close();
  });

  test('what it signs and attests is understood here', async () => {
    const folder = await testFolder();
    const registry = await startRegistry();
    const { subject, reference } = await registry.push('bank/ledger', 'one');
    expect(await cosign(folder, ['generate-key-pair'])).toMatchObject({ code: 0 });
    const offline = ['--tlog-upload=false', '--use-signing-config=false', '-y', '--key', 'cosign.key'];
    const signed = await cosign(folder, ['sign', ...offline, reference]);
    expect(signed, signed.stderr).toMatchObject({ code: 0 });
    await writeFile(join(folder, 'sbom.json'), JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6' }));
    const attested = await cosign(folder, [
      'attest',
      ...offline,
      '--type',
      'cyclonedx',
      '--predicate',
      'sbom.json',
      reference,
    ]);
    expect(attested, attested.stderr).toMatchObject({ code: 0 });

    const repository = await openProofRepository({ registry: registry.host, repository: 'bank/ledger' }, 'pull', {
      transport: { plainHttp: true },
    });
    const { proofs, unusable } = await collectProofs(repository, subject.digest);
    repository.close();
    expect(unusable).toEqual([]);
    const key = parsePublicKey(await readFile(join(folder, 'cosign.pub'), 'utf8'), 'cosign.pub');
    const stranger = parsePublicKey((await generateKeys('')).publicKey, 'a stranger');
    const keys = new Map([
      ['cosign', key],
      ['stranger', stranger],
    ]);
    expect(proofs.map((proof) => proof.signedBy(keys))).toEqual([['cosign'], ['cosign']]);
    expect(proofs.map((proof) => proof.statement().predicateType).sort()).toEqual(
      [predicateTypes.sbom, predicateTypes.signature].sort(),
    );
    const policy: Policy = {
      file: 'policy.yaml',
      mode: 'enforce',
      keys: new Map([['cosign', key]]),
      signedBy: ['cosign'],
      sbom: { signedBy: ['cosign'] },
      place: { file: 'policy.yaml' },
    };
    const transport = { plainHttp: true };
    expect(await verifyImage({ reference, policy, transport })).toMatchObject({ passed: true, digest: subject.digest });
    const wrong = { ...policy, keys: new Map([['cosign', stranger]]) };
    expect(await verifyImage({ reference, policy: wrong, transport })).toMatchObject({ passed: false });
    // Its own key file opens here, with its password and with no other.
    const path = join(folder, 'cosign.key');
    expect((await openSigner(path, { env: { COSIGN_PASSWORD: 'secret' } })).publicKey.hint).toBe(key.hint);
    await expect(openSigner(path, { env: { COSIGN_PASSWORD: 'wrong' } })).rejects.toMatchObject({
      code: 'proof/wrong-password',
    });
  });

  test('the form of cosign 2, both ways', async () => {
    const folder = await testFolder();
    const signer = await newKeys(folder);
    const registry = await startRegistry();
    const own = await registry.push('bank/ledger', 'own');
    const theirs = await registry.push('bank/ledger', 'theirs');
    const repository = await openProofRepository({ registry: registry.host, repository: 'bank/ledger' }, 'pull,push', {
      transport: { plainHttp: true },
    });
    const older = ['--new-bundle-format=false', ...withKey];
    const statements = statementsOf(own.subject.digest);
    expect(await tagStatements(repository, own.subject, statements.slice(0, 1), signer)).toHaveLength(1);
    expect(await tagStatements(repository, own.subject, statements, signer)).toHaveLength(1);
    expect(await tagStatements(repository, own.subject, statements, signer)).toEqual([]);
    const verified = await cosign(folder, ['verify', ...older, own.reference]);
    expect(verified, verified.stderr).toMatchObject({ code: 0 });
    for (const type of ['slsaprovenance1', 'cyclonedx']) {
      const attested = await cosign(folder, ['verify-attestation', ...older, '--type', type, own.reference]);
      expect(attested, attested.stderr).toMatchObject({ code: 0 });
    }
    // Where there are no bundles, that is what it looks for without being told.
    expect(await cosign(folder, ['verify', ...withKey, own.reference])).toMatchObject({ code: 0 });
    const other = await testFolder();
    await newKeys(other);
    expect((await cosign(other, ['verify', ...older, own.reference])).code).not.toBe(0);
    // What is there in this form is no reason not to write the other.
    expect(await attachStatements(repository, own.subject, statements, signer)).toHaveLength(3);

    const offline = ['--new-bundle-format=false', '--tlog-upload=false', '--use-signing-config=false', '-y'];
    const key = ['--key', 'cosign.key'];
    const signed = await cosign(folder, ['sign', ...offline, ...key, theirs.reference]);
    expect(signed, signed.stderr).toMatchObject({ code: 0 });
    await writeFile(join(folder, 'sbom.json'), JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6' }));
    const bill = ['--type', 'cyclonedx', '--predicate', 'sbom.json'];
    const attested = await cosign(folder, ['attest', ...offline, ...key, ...bill, theirs.reference]);
    expect(attested, attested.stderr).toMatchObject({ code: 0 });
    // Ours goes beside theirs, and leaves it there.
    const [, , sbom] = statementsOf(theirs.subject.digest);
    expect(await tagStatements(repository, theirs.subject, [sbom!], signer)).toHaveLength(1);
    const { proofs, unusable } = await collectProofs(repository, theirs.subject.digest);
    repository.close();
    expect(unusable).toEqual([]);
    expect(proofs.map(({ form }) => form)).toEqual(['tag', 'tag', 'tag']);
    const policy: Policy = {
      file: 'policy.yaml',
      mode: 'enforce',
      keys: new Map([['cosign', signer.publicKey]]),
      signedBy: ['cosign'],
      sbom: { signedBy: ['cosign'] },
      place: { file: 'policy.yaml' },
    };
    const { reference } = theirs;
    const transport = { plainHttp: true };
    expect(await verifyImage({ reference, policy, transport })).toMatchObject({ passed: true });
    const stranger = { ...policy, keys: new Map([['cosign', (await newKeys(other)).publicKey]]) };
    expect(await verifyImage({ reference, policy: stranger, transport })).toMatchObject({ passed: false });
  });

  test('a program that holds the key serves both', async () => {
    const folder = await testFolder();
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    await writeFile(join(folder, 'sigstore-kms-test'), pluginProgram, { mode: 0o755 });
    const reference = `test://${join(folder, 'key.pem')}`;
    const path = `${folder}:${process.env.PATH}`;
    const registry = await startRegistry();
    const one = await registry.push('bank/ledger', 'one');
    const two = await registry.push('bank/ledger', 'two');
    const offline = ['--tlog-upload=false', '--use-signing-config=false', '-y', '--key', reference];
    const signed = await cosign(folder, ['sign', ...offline, two.reference], { PATH: path });
    expect(signed, signed.stderr).toMatchObject({ code: 0 });

    const before = process.env.PATH;
    process.env.PATH = path;
    try {
      const signer = await openSigner(reference);
      const repository = await openProofRepository(
        { registry: registry.host, repository: 'bank/ledger' },
        'pull,push',
        { transport: { plainHttp: true } },
      );
      await attachStatements(repository, one.subject, statementsOf(one.subject.digest), signer);
      const { proofs } = await collectProofs(repository, two.subject.digest);
      expect(proofs.map((proof) => proof.signedBy(new Map([['kms', signer.publicKey]])))).toEqual([['kms']]);
      repository.close();
      await expect(openSigner('test:///absent.pem')).rejects.toMatchObject({ code: 'proof/signer-failed' });
      await expect(openSigner('nobody://key')).rejects.toMatchObject({ code: 'proof/no-key' });
    } finally {
      process.env.PATH = before;
    }
    const verified = await cosign(
      folder,
      ['verify', '--key', reference, '--insecure-ignore-tlog=true', one.reference],
      {
        PATH: path,
      },
    );
    expect(verified, verified.stderr).toMatchObject({ code: 0 });
  });

  test('a registry that keeps no list of what refers to what', async () => {
    const folder = await testFolder();
    const signer = await newKeys(folder);
    const registry = await startRegistry(withoutReferrers);
    const { subject, reference } = await registry.push('bank/ledger', 'one');
    const repository = await openProofRepository({ registry: registry.host, repository: 'bank/ledger' }, 'pull,push', {
      transport: { plainHttp: true },
    });
    await attachStatements(repository, subject, statementsOf(subject.digest), signer);
    expect((await collectProofs(repository, subject.digest)).proofs).toHaveLength(3);
    repository.close();
    const verified = await cosign(folder, ['verify', ...withKey, reference]);
    expect(verified, verified.stderr).toMatchObject({ code: 0 });
  });
});

/** A program of Sigstore's protocol for key management, with a key in a file. */
const pluginProgram = `#!${process.execPath}
const { createPrivateKey, createPublicKey, sign, verify } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { initOptions, methodName, verifySignature } = JSON.parse(process.argv[3]);
const answer = () => {
  if (process.argv[2] !== 'v1') throw new Error('unknown version ' + process.argv[2]);
  const key = createPrivateKey(readFileSync(initOptions.keyResourceID));
  const pem = createPublicKey(key).export({ type: 'spki', format: 'pem' });
  const message = () => readFileSync(0);
  switch (methodName) {
    case 'publicKey': return { publicKey: { publicKeyPEM: Buffer.from(pem).toString('base64') } };
    case 'defaultAlgorithm': return { defaultAlgorithm: { defaultAlgorithm: 'ecdsa-p256-sha256' } };
    case 'signMessage': return { signMessage: { signature: sign('sha256', message(), key).toString('base64') } };
    case 'verifySignature':
      if (verify('sha256', message(), createPublicKey(key), Buffer.from(verifySignature.signature, 'base64')))
        return { verifySignature: {} };
      throw new Error('wrong signature');
    default: throw new Error('unknown method ' + methodName);
  }
};
let said;
try { said = answer(); } catch (error) { said = { errorMessage: error.message }; }
process.stdout.write(JSON.stringify(said));
`;

/**
 * A cosign 2 that somebody has built: script/test builds none, since that takes as long again as the present one does.
 * `GOBIN=/tmp go install github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5`, and BANKSMAN_TEST_COSIGN2=/tmp/cosign.
 */
const former = process.env.BANKSMAN_TEST_COSIGN2;

describe.runIf(former !== undefined)('with cosign 2', () => {
  const cosign2 = (folder: string, ...args: string[]) => runCosign(former!, folder, args);
  const anyRoot = async (folder: string) => {
    const root = '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}';
    await writeFile(join(folder, 'root.json'), root);
    return ['--trusted-root', 'root.json'];
  };

  test('it verifies both forms offline, and refuses another key', async () => {
    const folder = await testFolder();
    const signer = await newKeys(folder);
    const root = await anyRoot(folder);
    const registry = await startRegistry();
    const own = await registry.push('bank/ledger', 'bundles');
    const older = await registry.push('bank/ledger', 'tags');
    const repository = await openProofRepository({ registry: registry.host, repository: 'bank/ledger' }, 'pull,push', {
      transport: { plainHttp: true },
    });
    await attachStatements(repository, own.subject, statementsOf(own.subject.digest), signer);
    await tagStatements(repository, older.subject, statementsOf(older.subject.digest), signer);
    repository.close();
    for (const [reference, more] of [
      [own.reference, ['--new-bundle-format', ...root]],
      [older.reference, []],
    ] as const) {
      const verified = await cosign2(folder, 'verify', ...withKey, ...more, reference);
      expect(verified, verified.stderr).toMatchObject({ code: 0 });
      for (const type of ['slsaprovenance1', 'cyclonedx']) {
        const attested = await cosign2(folder, 'verify-attestation', ...withKey, ...more, '--type', type, reference);
        expect(attested, attested.stderr).toMatchObject({ code: 0 });
      }
      const other = await testFolder();
      await newKeys(other);
      await anyRoot(other);
      expect((await cosign2(other, 'verify', ...withKey, ...more, reference)).code).not.toBe(0);
    }
  });

  test('what it signs and attests is understood here', async () => {
    const folder = await testFolder();
    const registry = await startRegistry();
    const { reference } = await registry.push('bank/ledger', 'theirs');
    expect(await cosign2(folder, 'generate-key-pair')).toMatchObject({ code: 0 });
    const offline = ['--tlog-upload=false', '-y', '--key', 'cosign.key'];
    const signed = await cosign2(folder, 'sign', ...offline, reference);
    expect(signed, signed.stderr).toMatchObject({ code: 0 });
    await writeFile(join(folder, 'sbom.json'), JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6' }));
    const attest = [...offline, '--type', 'cyclonedx', '--predicate', 'sbom.json', reference];
    const attested = await cosign2(folder, 'attest', ...attest);
    expect(attested, attested.stderr).toMatchObject({ code: 0 });
    const key = parsePublicKey(await readFile(join(folder, 'cosign.pub'), 'utf8'), 'cosign.pub');
    const policy: Policy = {
      file: 'policy.yaml',
      mode: 'enforce',
      keys: new Map([['cosign', key]]),
      signedBy: ['cosign'],
      sbom: { signedBy: ['cosign'] },
      place: { file: 'policy.yaml' },
    };
    expect(await verifyImage({ reference, policy, transport: { plainHttp: true } })).toMatchObject({ passed: true });
  });
});
