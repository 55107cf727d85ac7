import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../canonical.ts';
import { digestOf } from '../digest.ts';
import { mirrorImages, openBlobStore, pullImage } from '../index.ts';
import { mediaTypes } from '../manifest.ts';
import { testFolder } from '../testing/folder.ts';
import { listenLocally, plain, startRegistry, withEnvironment } from '../testing/local-registry.ts';

type Json = Record<string, unknown>;

/** A registry that answers with what it is given, under the right sums. */
class Hostile {
  readonly asked: string[] = [];
  readonly #answers = new Map<string, { bytes: Buffer; type: string }>();
  readonly #server = createServer((request, response) => {
    const url = request.url ?? '';
    this.asked.push(`${request.method} ${url}`);
    const found = url.includes('/referrers/') ? undefined : this.#answers.get(url.slice(url.lastIndexOf('/') + 1));
    if (found === undefined) {
      response.writeHead(404).end();
      return;
    }
    const headers = { 'content-type': found.type, 'content-length': found.bytes.length };
    response.writeHead(200, { ...headers, 'docker-content-digest': digestOf(found.bytes) });
    response.end(request.method === 'HEAD' ? undefined : found.bytes);
  });

  listen(): Promise<string> {
    return listenLocally(this.#server);
  }

  has(bytes: Buffer, mediaType: string, ...names: string[]): { mediaType: string; digest: string; size: number } {
    const digest = digestOf(bytes);
    for (const name of [digest, ...names]) this.#answers.set(name, { bytes, type: mediaType });
    return { mediaType, digest, size: bytes.length };
  }

  hasJson(value: Json, mediaType: string, ...names: string[]) {
    return this.has(Buffer.from(canonicalJson({ schemaVersion: 2, mediaType, ...value })), mediaType, ...names);
  }
}

const platform = { architecture: 'amd64', os: 'linux' } as const;

function image(registry: Hostile, change: (manifest: Json) => Json = (manifest) => manifest) {
  const layer = registry.has(Buffer.alloc(1024), mediaTypes.layer);
  const configuration = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [layer.digest] } };
  const config = registry.has(Buffer.from(canonicalJson(configuration)), mediaTypes.config);
  return registry.hasJson(change({ config, layers: [layer] }), mediaTypes.manifest, 'v1');
}

async function pulled(registry: Hostile, whole: boolean) {
  const folder = await testFolder();
  const store = await openBlobStore(join(folder, 'store'));
  const output = join(folder, 'image.oci');
  const reference = `${await registry.listen()}/bank/x:v1`;
  const error = await pullImage({ reference, store, output, whole, architecture: 'amd64', transport: plain }).then(
    () => undefined,
    (fault: unknown) => fault,
  );
  // Whatever was wrong: no image, nothing half done.
  if (error !== undefined) expect(await readdir(folder)).toEqual(['store']);
  expect(await readdir(join(folder, 'store/tmp'))).toEqual([]);
  return error;
}

describe.each([false, true])('pulling (the whole index: %s)', (whole) => {
  test('what is right is pulled', async () => {
    const registry = new Hostile();
    registry.hasJson({ manifests: [{ ...image(registry), platform }] }, mediaTypes.index, 'v1');
    expect(await pulled(registry, whole)).toBeUndefined();
  });

  test.each<[string, (registry: Hostile) => unknown, string]>([
    [
      'an index with a manifest of another size',
      (registry) =>
        registry.hasJson({ manifests: [{ ...image(registry), size: 7, platform }] }, mediaTypes.index, 'v1'),
      'image/wrong-content',
    ],
    [
      'an index of an index',
      (registry) => {
        const inner = registry.hasJson({ manifests: [{ ...image(registry), platform }] }, mediaTypes.index);
        return registry.hasJson({ manifests: [{ ...inner, platform }] }, mediaTypes.index, 'v1');
      },
      'image/bad-layout',
    ],
    [
      'a layer that is longer than it says',
      (registry) => image(registry, (each) => ({ ...each, layers: [{ ...(each.layers as [Json])[0], size: 10 }] })),
      'image/wrong-content',
    ],
    [
      'a layer that is shorter than it says',
      (registry) =>
        image(registry, (each) => ({ ...each, layers: [{ ...(each.layers as [Json])[0], size: 2 ** 52 }] })),
      'image/wrong-content',
    ],
    [
      'a layer with a sum of another kind',
      (registry) =>
        image(registry, (each) => ({
          ...each,
          layers: [{ ...(each.layers as [Json])[0], digest: `md5:${'a'.repeat(32)}` }],
        })),
      'image/bad-layout',
    ],
    [
      'a negative size',
      (registry) => image(registry, (each) => ({ ...each, layers: [{ ...(each.layers as [Json])[0], size: -5 }] })),
      'image/bad-layout',
    ],
    [
      'more layers than anybody has',
      (registry) =>
        image(registry, (each) => ({
          ...each,
          layers: Array.from({ length: 10_001 }, () => (each.layers as [Json])[0]),
        })),
      'image/bad-layout',
    ],
    [
      'more layers than sums of them',
      (registry) =>
        image(registry, (each) => ({ ...each, layers: Array.from({ length: 9 }, () => (each.layers as [Json])[0]) })),
      'image/bad-layout',
    ],
    [
      'a manifest that came as something else',
      (registry) => image(registry, (each) => ({ ...each, mediaType: mediaTypes.dockerManifest })),
      'image/bad-layout',
    ],
    [
      'a page in place of a manifest',
      (registry) => registry.has(Buffer.from('<html>'), 'text/html', 'v1'),
      'image/bad-layout',
    ],
    [
      'a manifest without end',
      (registry) => registry.has(Buffer.alloc(5 * 1024 ** 2, ' '), mediaTypes.manifest, 'v1'),
      'image/',
    ],
  ])('%s is refused', async (_, make, code) => {
    const registry = new Hostile();
    make(registry);
    expect(await pulled(registry, whole)).toMatchObject({ code: expect.stringContaining(code) });
  });
});

describe('mirroring', () => {
  const mirrored = async (registry: Hostile) => {
    withEnvironment({ BANKSMAN_CACHE: await testFolder() });
    const to = await startRegistry();
    const sources = [`${await registry.listen()}/bank/x:v1`];
    return mirrorImages({ sources, destination: to.host, access: () => plain });
  };

  test('what an index names a thousand times is asked for once', async () => {
    const registry = new Hostile();
    const one = { ...image(registry), platform };
    registry.hasJson({ manifests: Array.from({ length: 1000 }, () => one) }, mediaTypes.index, 'v1');
    await mirrored(registry);
    expect(registry.asked.filter((each) => each === `GET /v2/bank/x/manifests/${one.digest}`)).toHaveLength(1);
  });

  test('an index with a manifest of another size, and indexes in indexes without end, are refused', async () => {
    const wrong = new Hostile();
    wrong.hasJson({ manifests: [{ ...image(wrong), size: 3, platform }] }, mediaTypes.index, 'v1');
    await expect(mirrored(wrong)).rejects.toMatchObject({ code: 'image/wrong-content' });
    const deep = new Hostile();
    let top = image(deep);
    for (let depth = 0; depth < 12; depth++)
      top = deep.hasJson({ manifests: [top], annotations: { depth: `${depth}` } }, mediaTypes.index, 'v1');
    await expect(mirrored(deep)).rejects.toMatchObject({ code: 'image/too-large' });
  });
});
