import { readFile } from 'node:fs/promises';
import { writeAtomically } from '../disk/index.ts';
import { LocalFault } from './fault.ts';
import type { Layout } from './layout.ts';

/** What the supervisor must know of a cluster and can't find out again by itself. */
export interface Settings {
  readonly format: 1;
  readonly name: string;
  /** On 127.0.0.1 of the host. */
  readonly apiPort: number;
  /** Folder of the built programs, and the name of what they were built from. */
  readonly engine: { readonly folder: string; readonly fingerprint: string };
  /** Folder of the CNI plugins. */
  readonly cni: string;
  readonly proxyMode: 'nftables' | 'iptables';
  readonly snapshotter: 'overlayfs' | 'native';
  /** Blobs that builder and registry share. */
  readonly blobs: string;
  /** References in `registry.local`, and the image layout folder that each comes from. */
  readonly images: { readonly pause: SystemImage; readonly coredns: SystemImage };
  readonly versions: { readonly kubernetes: string; readonly etcd: string; readonly containerd: string };
}

export interface SystemImage {
  readonly reference: string;
  readonly layout: string;
}

/** @returns undefined where the cluster has no settings yet */
export async function readSettings(layout: Layout): Promise<Settings | undefined> {
  let text: string;
  try {
    text = await readFile(layout.settings, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(layout, 'it is not JSON', cause);
  }
  return parseSettings(value, layout);
}

export async function writeSettings(layout: Layout, settings: Settings): Promise<void> {
  await writeAtomically(layout.settings, `${JSON.stringify(settings, null, 2)}\n`, 0o600);
}

function parseSettings(value: unknown, layout: Layout): Settings {
  const object = (from: unknown, key: string): Record<string, unknown> => {
    const found = (from as Record<string, unknown> | null)?.[key];
    if (typeof found !== 'object' || found === null) throw damaged(layout, `${key} is missing`);
    return found as Record<string, unknown>;
  };
  const text = (from: Record<string, unknown>, key: string): string => {
    const found = from[key];
    if (typeof found !== 'string' || found === '') throw damaged(layout, `${key} is missing`);
    return found;
  };
  const top = object({ top: value }, 'top');
  if (top.format !== 1) throw damaged(layout, `format ${JSON.stringify(top.format)} is unknown to this version`);
  if (top.name !== layout.name) throw damaged(layout, `it is of the cluster ${JSON.stringify(top.name)}`);
  const { apiPort, proxyMode, snapshotter } = top;
  if (typeof apiPort !== 'number' || !Number.isInteger(apiPort) || apiPort < 1 || apiPort > 65535) {
    throw damaged(layout, 'apiPort is no port');
  }
  if (proxyMode !== 'nftables' && proxyMode !== 'iptables') throw damaged(layout, 'proxyMode is unknown');
  if (snapshotter !== 'overlayfs' && snapshotter !== 'native') throw damaged(layout, 'snapshotter is unknown');
  const engine = object(top, 'engine');
  const images = object(top, 'images');
  const image = (key: string): SystemImage => {
    const one = object(images, key);
    return { reference: text(one, 'reference'), layout: text(one, 'layout') };
  };
  const versions = object(top, 'versions');
  return {
    format: 1,
    name: layout.name,
    apiPort,
    engine: { folder: text(engine, 'folder'), fingerprint: text(engine, 'fingerprint') },
    cni: text(top, 'cni'),
    proxyMode,
    snapshotter,
    blobs: text(top, 'blobs'),
    images: { pause: image('pause'), coredns: image('coredns') },
    versions: {
      kubernetes: text(versions, 'kubernetes'),
      etcd: text(versions, 'etcd'),
      containerd: text(versions, 'containerd'),
    },
  };
}

function damaged(layout: Layout, why: string, cause?: unknown): LocalFault {
  return new LocalFault('local/bad-state', `${layout.settings} can't be read: ${why}`, {
    next: `banksman down --purge --cluster ${layout.name} removes the cluster with all that it holds; then banksman up`,
    cause,
  });
}
