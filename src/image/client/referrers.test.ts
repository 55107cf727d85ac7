import { describe, expect, test } from 'vitest';
import { digestOf } from '../digest.ts';
import { fetchBlob, fetchManifest, listReferrers, mediaTypes, pushImage, pushManifest } from '../index.ts';
import { testFolder } from '../testing/folder.ts';
import { plain, startRegistry, testImage, withoutReferrers } from '../testing/local-registry.ts';

describe.each([
  ['with the referrers API', undefined],
  ['without it, by a tag', withoutReferrers],
] as const)('a registry %s', (_, between) => {
  test('keeps what refers to an image, by type', async () => {
    const { host } = await startRegistry({}, between);
    const built = await testImage(await testFolder(), 'subject');
    await pushImage({ layout: built.layout, reference: `${host}/bank/ledger:v1`, transport: plain });
    const reference = `${host}/bank/ledger@${built.digest}`;
    expect(await listReferrers({ reference, transport: plain })).toEqual([]);
    const attach = (artifactType: string, text: string) =>
      pushManifest({
        reference: `${host}/bank/ledger`,
        mediaType: mediaTypes.manifest,
        manifest: JSON.stringify({
          schemaVersion: 2,
          mediaType: mediaTypes.manifest,
          artifactType,
          config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 },
          layers: [{ mediaType: 'text/plain', digest: digestOf(text), size: text.length }],
          subject: { mediaType: mediaTypes.manifest, digest: built.digest, size: 1 },
          annotations: { of: text },
        }),
        blobs: ['{}', text],
        transport: plain,
      });
    const sbom = await attach('application/sbom', 'a list');
    for (const each of [1, 2, 3]) await attach('application/signature', `signature ${each}`);
    const all = await listReferrers({ reference, transport: plain });
    expect(all).toHaveLength(4);
    const found = await listReferrers({
      reference: `${host}/bank/ledger:v1`,
      artifactType: 'application/sbom',
      transport: plain,
    });
    expect(found).toMatchObject([{ digest: sbom, artifactType: 'application/sbom', annotations: { of: 'a list' } }]);
    const manifest = await fetchManifest({ reference: `${host}/bank/ledger@${sbom}`, transport: plain });
    const { layers } = JSON.parse(manifest.bytes.toString('utf8'));
    const blob = { reference: `${host}/bank/ledger`, digest: layers[0].digest, transport: plain };
    expect((await fetchBlob(blob)).toString('utf8')).toBe('a list');
    await expect(fetchBlob({ ...blob, maximumBytes: 3 })).rejects.toMatchObject({ code: 'image/too-large' });
    // The same once more is not entered twice.
    await attach('application/sbom', 'a list');
    expect(await listReferrers({ reference, transport: plain })).toHaveLength(4);
  });
});

test('a manifest can not be pushed under another digest', async () => {
  const reference = `registry.example/a@${digestOf('other')}`;
  await expect(
    pushManifest({ reference, mediaType: mediaTypes.manifest, manifest: '{}', transport: plain }),
  ).rejects.toMatchObject({ code: 'image/bad-reference' });
});
