import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../digest.ts';
import { fetchManifest, headImage, listReferrers, mirrorImages, pushManifest } from '../index.ts';
import { mediaTypes } from '../manifest.ts';
import { checkRegistry } from '../registry/check.ts';
import { testFolder } from '../testing/folder.ts';
import { plain, startRegistry, withEnvironment, withoutReferrers } from '../testing/local-registry.ts';
import { openRemoteRepository } from './registry.ts';

const access = () => plain;

/** An index of two platforms with a signature of the index and an SBOM of one image, and a signature in a tag. */
async function pushIndex(host: string, repository: string) {
  const descriptors = [];
  for (const architecture of ['amd64', 'arm64']) {
    const config = JSON.stringify({ architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: [] } });
    const layer = `layer for ${architecture}`.padEnd(100_000, architecture);
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: mediaTypes.config, digest: digestOf(config), size: config.length },
      layers: [
        { mediaType: mediaTypes.layer, digest: digestOf(layer), size: layer.length },
        { mediaType: mediaTypes.layer, digest: digestOf('shared'), size: 6 },
      ],
    });
    const blobs = [config, layer, 'shared'];
    await pushManifest({
      reference: `${host}/${repository}`,
      mediaType: mediaTypes.manifest,
      manifest,
      blobs,
      transport: plain,
    });
    descriptors.push({
      mediaType: mediaTypes.manifest,
      digest: digestOf(manifest),
      size: manifest.length,
      platform: { os: 'linux', architecture, ...(architecture === 'arm64' && { variant: 'v8' }) },
    });
  }
  const index = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: descriptors });
  const digest = await pushManifest({
    reference: `${host}/${repository}:v1`,
    mediaType: mediaTypes.index,
    manifest: index,
    transport: plain,
  });
  const artifact = (text: string, subject?: object) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: 'application/note',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 },
      layers: [{ mediaType: 'text/plain', digest: digestOf(text), size: text.length }],
      ...(subject && { subject }),
    });
  const attach = (text: string, subject: object | undefined, tag = '') =>
    pushManifest({
      reference: `${host}/${repository}${tag}`,
      mediaType: mediaTypes.manifest,
      manifest: artifact(text, subject),
      blobs: ['{}', text],
      transport: plain,
    });
  const signature = await attach('signature', { mediaType: mediaTypes.index, digest, size: index.length });
  const sbom = await attach('sbom', descriptors[0]);
  const tagged = await attach('old signature', undefined, `:${digest.replace(':', '-')}.sig`);
  return { digest, descriptors, signature, sbom, tagged };
}

describe('a copy', () => {
  test.each([
    ['to a registry with the referrers API', undefined],
    ['to one without', withoutReferrers],
  ])('%s has all platforms, signatures and SBOMs, by the same digests', async (_, between) => {
    withEnvironment({ BANKSMAN_CACHE: await testFolder() });
    const [from, to] = [await startRegistry(), await startRegistry({}, between)];
    const { digest, descriptors, signature, sbom, tagged } = await pushIndex(from.host, 'bank/tool');
    const request = { sources: [`${from.host}/bank/tool:v1`], destination: `${to.host}/hub`, access };
    const [mirrored] = await mirrorImages(request);
    expect(mirrored).toMatchObject({
      source: `${from.host}/bank/tool:v1@${digest}`,
      destination: `${to.host}/hub/bank/tool:v1@${digest}`,
      digest,
      mediaType: mediaTypes.index,
      referrers: [signature, sbom, tagged].sort(),
      manifests: [digest, signature, sbom, tagged, ...descriptors.map((each) => each.digest)].sort(),
      // Two configurations, two layers, what both share, and four of the artifacts.
      sentBlobs: 9,
    });
    const reference = `${to.host}/hub/bank/tool`;
    expect(await headImage({ reference: `${reference}:v1`, transport: plain })).toMatchObject({ digest });
    const found = await listReferrers({ reference: `${reference}:v1`, transport: plain });
    expect(found.map((each) => each.digest)).toEqual([signature]);
    const below = await listReferrers({ reference: `${reference}@${descriptors[0]?.digest}`, transport: plain });
    expect(below.map((each) => each.digest)).toEqual([sbom]);
    const old = await headImage({ reference: `${reference}:${digest.replace(':', '-')}.sig`, transport: plain });
    expect(old?.digest).toBe(tagged);
    expect((await checkRegistry(to.store, to.root)).problems).toEqual([]);
    // Once more: nothing is read from the layers, and nothing sent.
    const before = from.seen.length;
    expect((await mirrorImages(request))[0]).toMatchObject({ digest, sentBlobs: 0, sentBytes: 0 });
    expect(from.seen.slice(before).some((line) => line.includes('/blobs/'))).toBe(false);
  });

  test('that was stopped goes on where it was', async () => {
    withEnvironment({ BANKSMAN_CACHE: await testFolder() });
    const from = await startRegistry();
    let blobs = 0;
    let full = true;
    const to = await startRegistry({}, (inner) => (request, response) => {
      if (request.method === 'PUT' && request.url?.includes('/uploads/') && ++blobs > 3 && full) {
        request.resume();
        response.writeHead(507).end();
      } else inner(request, response);
    });
    const { digest } = await pushIndex(from.host, 'bank/tool');
    const request = { sources: [`${from.host}/bank/tool:v1`], destination: to.host, access };
    await expect(mirrorImages(request)).rejects.toMatchObject({ code: 'image/registry-refused' });
    expect(await headImage({ reference: `${to.host}/bank/tool:v1`, transport: plain })).toBeUndefined();
    full = false;
    const [mirrored] = await mirrorImages(request);
    expect(mirrored).toMatchObject({ digest, sentBlobs: 6 });
  });

  test('of one platform takes the name of the index', async () => {
    withEnvironment({ BANKSMAN_CACHE: await testFolder() });
    const [from, to] = [await startRegistry(), await startRegistry()];
    const { descriptors, sbom } = await pushIndex(from.host, 'bank/tool');
    const request = { sources: [`${from.host}/bank/tool:v1`], destination: `${to.host}/other/name:v2`, access };
    const [amd] = await mirrorImages({ ...request, platform: 'linux/amd64' });
    expect(amd).toMatchObject({ destination: `${to.host}/other/name:v2@${descriptors[0]?.digest}`, referrers: [sbom] });
    const [arm] = await mirrorImages({ ...request, platform: 'linux/arm64', referrers: false });
    expect(arm).toMatchObject({ digest: descriptors[1]?.digest, referrers: [] });
    await expect(mirrorImages({ ...request, platform: 'linux/s390x' })).rejects.toMatchObject({
      code: 'image/registry-not-found',
      notes: ['it has: linux/amd64, linux/arm64/v8'],
    });
  });

  test('within a registry takes the blobs from where they are', async () => {
    withEnvironment({ BANKSMAN_CACHE: await testFolder() });
    const registry = await startRegistry();
    const { digest } = await pushIndex(registry.host, 'bank/tool');
    const [mirrored] = await mirrorImages({
      sources: [`${registry.host}/bank/tool@${digest}`],
      destination: `${registry.host}/copy`,
      access,
    });
    expect(mirrored).toMatchObject({ destination: `${registry.host}/copy/bank/tool@${digest}`, sentBytes: 0 });
  });

  test('of content that is known by SHA-512', async () => {
    withEnvironment({ BANKSMAN_CACHE: await testFolder() });
    const [from, to] = [await startRegistry(), await startRegistry()];
    const sum = (text: string) => `sha512:${createHash('sha512').update(text).digest('hex')}` as const;
    const remote = openRemoteRepository({
      registry: from.host,
      repository: 'a',
      action: 'pull,push',
      transport: plain,
    });
    for (const text of ['{}', 'layer'])
      await remote.putBlob(sum(text), text.length, async function* () {
        yield Buffer.from(text);
      });
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: { mediaType: 'text/plain', digest: sum('{}'), size: 2 },
      layers: [{ mediaType: 'text/plain', digest: sum('layer'), size: 5 }],
    });
    await remote.putManifest('v1', mediaTypes.manifest, Buffer.from(manifest));
    remote.close();
    await mirrorImages({ sources: [`${from.host}/a:v1`], destination: to.host, access });
    expect((await fetchManifest({ reference: `${to.host}/a:v1`, transport: plain })).bytes.toString()).toBe(manifest);
    expect((await checkRegistry(to.store, to.root)).problems).toEqual([]);
  });

  test('of damaged content is not made', async () => {
    const cache = await testFolder();
    withEnvironment({ BANKSMAN_CACHE: cache });
    const to = await startRegistry();
    const from = await startRegistry({}, (inner) => (request, response) => {
      if (request.method === 'GET' && request.url?.includes('/blobs/')) response.end('forged');
      else inner(request, response);
    });
    await pushIndex(from.host, 'bank/tool');
    const copy = mirrorImages({ sources: [`${from.host}/bank/tool:v1`], destination: to.host, access });
    await expect(copy).rejects.toMatchObject({ code: 'image/wrong-content' });
    const { readdir } = await import('node:fs/promises');
    expect(await readdir(join(cache, 'staging'))).toEqual([]);
    expect(await headImage({ reference: `${to.host}/bank/tool:v1`, transport: plain })).toBeUndefined();
  });

  test('of several images under one name is refused', async () => {
    const sources = ['a.example/x:1', 'a.example/y:1'];
    await expect(mirrorImages({ sources, destination: 'b.example/z:1' })).rejects.toMatchObject({
      code: 'image/bad-reference',
    });
  });
});
