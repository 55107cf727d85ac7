import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Layout, layoutOf } from './layout.ts';
import { readSettings, type Settings, writeSettings } from './settings.ts';

let folder: string;
let layout: Layout;
const image = { reference: 'registry.local/banksman/pause:0123456789ab', layout: '/images/pause.oci' };
const settings: Settings = {
  format: 1,
  name: 'test',
  apiPort: 6443,
  engine: { folder: '/engine', fingerprint: 'f' },
  cni: '/usr/lib/cni',
  proxyMode: 'nftables',
  snapshotter: 'overlayfs',
  blobs: '/blobs',
  images: { pause: image, coredns: image },
  versions: { kubernetes: 'v1', etcd: 'v3', containerd: '1' },
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-settings-'));
  layout = { ...layoutOf('test'), settings: join(folder, 'cluster.json') };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('what was written is read, by its owner alone', async () => {
  expect(await readSettings(layout)).toBeUndefined();
  await writeSettings(layout, settings);
  expect(await readSettings(layout)).toEqual(settings);
  expect((await stat(layout.settings)).mode & 0o777).toBe(0o600);
});

test.each([
  ['no JSON', '{'],
  ['not an object', '7'],
  ['another format', JSON.stringify({ ...settings, format: 2 })],
  ['another cluster', JSON.stringify({ ...settings, name: 'else' })],
  ['no port', JSON.stringify({ ...settings, apiPort: 0 })],
  ['an unknown proxy mode', JSON.stringify({ ...settings, proxyMode: 'x' })],
  ['no images', JSON.stringify({ ...settings, images: {} })],
])('%s is a fault that says what to do', async (_, text) => {
  await writeFile(layout.settings, text);
  await expect(readSettings(layout)).rejects.toMatchObject({ code: 'local/bad-state', next: expect.any(String) });
});

test.each(['', 'UP', '-a', 'a-', 'a b', '../x', 'a'.repeat(31)])('%j is no name of a cluster', (name) => {
  expect(() => layoutOf(name)).toThrow(expect.objectContaining({ code: 'local/bad-name' }));
});
