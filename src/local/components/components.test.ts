import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureKeys } from '../keys.ts';
import { layoutOf } from '../layout.ts';
import type { Settings } from '../settings.ts';
import type { Component } from './component.ts';
import { components } from './index.ts';
import { fixedForwards } from './portal.ts';

let folder: string;
let all: Map<string, Component>;
let settings: Settings;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-components-'));
  const layout = { ...layoutOf('test'), pki: join(folder, 'pki'), config: join(folder, 'config') };
  await ensureKeys(layout);
  const image = { reference: 'registry.local/banksman/pause:0123456789ab', layout: '/images/pause.oci' };
  settings = {
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
  all = new Map(components({ layout, settings, openFiles: 4096 }).map((one) => [one.name, one]));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const config = (name: string) => {
  const [path, text] = Object.entries(all.get(name)!.files).find(([path]) => path.endsWith(`${name}.json`))!;
  return { path, value: JSON.parse(text) };
};

test('what a component needs exists, and nothing waits for itself', () => {
  const reach = (name: string, seen: string[]): void => {
    expect(seen, `${name} waits for itself`).not.toContain(name);
    for (const need of all.get(name)?.needs ?? []) {
      if (need !== 'anchor') expect(all.has(need), need).toBe(true);
      reach(need, [...seen, name]);
    }
  };
  for (const name of all.keys()) reach(name, []);
});

test('no key is among the arguments or in the environment of a process', () => {
  for (const { args, env } of all.values()) {
    const seen = [...args, ...Object.values(env)].join('\n');
    expect(seen).not.toMatch(/PRIVATE KEY|secret:/);
  }
  const encryption = Object.entries(all.get('apiserver')!.files).find(([path]) => path.endsWith('encryption.json'))!;
  const { secret } = JSON.parse(encryption[1]).resources[0].providers[0].secretbox.keys[0];
  expect(Buffer.from(secret, 'base64')).toHaveLength(32);
  expect(all.get('apiserver')!.args.join()).not.toContain(secret);
});

test('nobody is let in without a name', () => {
  expect(all.get('apiserver')!.args).toContain('--anonymous-auth=false');
  expect(all.get('apiserver')!.args).toContain('--authorization-mode=Node,RBAC');
  expect(all.get('etcd')!.args).toContain('--client-cert-auth=true');
  expect(config('kubelet').value).toMatchObject({
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
    authorization: { mode: 'Webhook' },
    readOnlyPort: 0,
  });
});

test('the machine stays as it is: no kernel setting, no limit, no score is changed', () => {
  expect(config('kubelet').value).toMatchObject({ protectKernelDefaults: true, oomScoreAdj: 0, maxOpenFiles: 4096 });
  expect(config('proxy').value).toMatchObject({ oomScoreAdj: 0, conntrack: { maxPerCore: 0, min: 0 } });
  const toml = Object.values(all.get('containerd')!.files).find((text) => text.startsWith('version = 2'))!;
  expect(toml).toContain('restrict_oom_score_adj = true');
});

test('on the host the portal listens on loopback and on sockets only', () => {
  for (const { listen } of fixedForwards(layoutOf('test'), settings)) {
    if (listen.side === 'host' && listen.network === 'tcp') expect(listen.address).toMatch(/^127\.0\.0\.1:/);
  }
});
