import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { assembleIndex } from '../assemble-index.ts';
import { pushImage } from '../client/push.ts';
import { readImageLayout } from '../layout.ts';
import { openBlobStore } from '../store.ts';
import { testFolder } from '../testing/folder.ts';
import { startRegistry } from '../testing/local-registry.ts';
import { dockerReference } from './base-image.ts';
import { make } from './testing/case.ts';

test('short names mean what Docker means by them', () => {
  expect(dockerReference('debian:12')).toMatchObject({
    registry: 'docker.io',
    repository: 'library/debian',
    tag: '12',
  });
  expect(dockerReference('a/b')).toMatchObject({ registry: 'docker.io', repository: 'a/b' });
  expect(dockerReference('localhost/a')).toMatchObject({ registry: 'localhost', repository: 'a' });
  expect(dockerReference('host:5000/a:t')).toMatchObject({ registry: 'host:5000', repository: 'a', tag: 't' });
  expect(dockerReference('ghcr.io/a/b:t')).toMatchObject({ registry: 'ghcr.io', repository: 'a/b' });
});

const transport = { plainHttp: true, credentials: 'anonymous' } as const;

test('an image of a registry is taken by its digest, for the right machine, and asked for once', async () => {
  const registry = await startRegistry();
  const folder = await testFolder();
  const store = await openBlobStore(join(folder, 'blobs'));
  const layouts: string[] = [];
  for (const architecture of ['amd64', 'arm64'] as const) {
    const output = join(folder, `${architecture}.oci`);
    const Dockerfile = `FROM scratch\nCOPY <<EOF /for\n${architecture}\nEOF\nENV FOR=${architecture}\n`;
    await make(folder, { files: { Dockerfile } }, { architecture, output });
    layouts.push(output);
  }
  const index = await assembleIndex({ store, output: join(folder, 'index.oci'), images: layouts });
  const name = `${registry.host}/base/image`;
  await pushImage({ layout: index.layout, reference: `${name}:1`, transport });
  // Nothing of it is here any more.
  rmSync(join(folder, 'blobs'), { recursive: true });
  const pinned = {
    files: { Dockerfile: `FROM ${name}@${index.digest}\nCOPY --from=${name}@${index.digest} /for /copied\n` },
  };
  for (const architecture of ['arm64', 'amd64', 'arm64'] as const) {
    const image = await make(folder, pinned, { architecture, transport, output: join(folder, 'made.oci') });
    const { configuration } = await readImageLayout(image.layout, architecture);
    expect(configuration.architecture).toBe(architecture);
    expect(configuration.config.Env).toContain(`FOR=${architecture}`);
  }
  const asked = registry.seen.length;
  await make(folder, pinned, { architecture: 'amd64', transport, output: join(folder, 'made.oci') });
  expect(registry.seen.length).toBe(asked);
  const other = { files: { Dockerfile: `FROM --platform=linux/s390x ${name}@${index.digest}\n` } };
  await expect(make(folder, other, { transport })).rejects.toMatchObject({
    code: 'dockerfile/unknown-image',
    place: { line: 1, column: 29 },
  });

  // A tag may be moved: the error says what to pin.
  const floating = { files: { Dockerfile: `FROM ${name}:1\n` } };
  await expect(make(folder, floating, { transport })).rejects.toMatchObject({
    code: 'dockerfile/floating-image',
    next: `pin what it is now: ${name}:1@${index.digest}`,
    place: { file: 'bank/Dockerfile', line: 1, column: 6 },
  });
  const unknown = { files: { Dockerfile: `FROM ${registry.host}/base/none:1\n` } };
  await expect(make(folder, unknown, { transport })).rejects.toMatchObject({ code: 'dockerfile/unknown-image' });
  const gone = { files: { Dockerfile: `FROM ${name}@sha256:${'0'.repeat(64)}\n` } };
  await expect(make(folder, gone, { transport })).rejects.toMatchObject({ code: 'dockerfile/unknown-image' });
});

test('where the registry can not be reached, the error says so and what to write', async () => {
  const files = { Dockerfile: 'FROM 127.0.0.1:1/base:1\n' };
  const error = await make(await testFolder(), { files }, { transport: { ...transport, firstPause: 1 } }).catch(
    (fault) => fault,
  );
  expect(error).toMatchObject({
    code: 'dockerfile/floating-image',
    next: expect.stringContaining('127.0.0.1:1/base:1@sha256:'),
  });
  expect(error.notes.join()).toContain('could not be asked');
});

test('what is no image is refused', async () => {
  const files = { Dockerfile: 'FROM Not/An:Image:x\n' };
  await expect(make(await testFolder(), { files })).rejects.toMatchObject({
    code: 'dockerfile/unknown-image',
    place: { column: 6 },
  });
});
