import { afterAll, beforeAll, expect, it } from 'vitest';
import { environmentOf, type KnownRelease, provenanceCheck, readPolicies } from '../index.ts';
import { policy, type SignedService, signedService } from '../testing/signed-service.ts';

let made: SignedService;
beforeAll(async () => {
  made = await signedService();
}, 60_000);
afterAll(() => made?.stop());

it('holds a release against the policy that it read at its start, and asks the registry again after a while', async () => {
  const workspace = await made.workspace();
  let time = 0;
  const policies = await readPolicies(workspace);
  expect([...policies.keys()].sort()).toEqual(['prod.yaml', 'strict.yaml']);
  const check = provenanceCheck({
    policies,
    fetchRelease: made.fetch,
    reach: async () => ({ registry: made.registry }),
    clock: () => time,
  });
  const on = (name: string, release: KnownRelease) => check(environmentOf(workspace, name), release);
  const unsigned = await made.make(false);
  expect(await on('dev', unsigned)).toBeUndefined();
  const refused = await on('prod', unsigned);
  expect(refused).toMatchObject({ release: unsigned.id, policy: 'prod.yaml', verified: false });
  expect(refused?.reason).toContain('no signature of the key ci');

  const signed = await made.make(true);
  expect(signed.id).not.toBe(unsigned.id);
  // It is the same image, and the answer of before is kept for a while.
  expect(await on('prod', unsigned)).toEqual(refused);
  time += 10_001;
  expect(await on('prod', unsigned)).toMatchObject({ verified: true, reason: '1 image passes prod.yaml' });
  expect(await on('prod', signed)).toMatchObject({ verified: true });
  expect(await on('strict', signed)).toMatchObject({
    verified: false,
    reason: expect.stringContaining('it was built by https://ci.example/builder') as string,
  });

  // The policy in the work tree is not the one that counts; a server that reads it has another sum.
  await made.write('prod.yaml', policy('https://elsewhere.example'));
  time += 1_000_000;
  expect(await on('prod', signed)).toMatchObject({ verified: true });
  expect((await readPolicies(workspace)).get('prod.yaml')?.sum).not.toBe(policies.get('prod.yaml')?.sum);
  await made.write('prod.yaml', policy('https://ci.example/builder'));
}, 60_000);

it('names what was stated of its images in a release, and gives the same release again', async () => {
  const first = await made.make(true);
  expect((await made.make(true)).id).toBe(first.id);
  const { images, provenance } = await made.fetch(first.reference);
  expect(provenance).toHaveLength(3);
  expect(new Set(provenance.map(({ subject }) => subject))).toEqual(new Set(images.map(({ digest }) => digest)));
}, 60_000);

it('says no where the registry does not have the release', async () => {
  const workspace = await made.workspace();
  const known = await made.make(false);
  const check = provenanceCheck({
    policies: await readPolicies(workspace),
    fetchRelease: made.fetch,
    reach: async () => ({ registry: made.registry }),
  });
  const gone = { ...known, id: 'gone', reference: known.reference.replace(/[0-9a-f]{64}$/, 'e'.repeat(64)) };
  expect(await check(environmentOf(workspace, 'prod'), gone)).toMatchObject({ verified: false });
});
