import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Api, ApiError, type KubeObject } from './api.ts';
import type { Layout } from './layout.ts';
import { provisioner } from './system-objects.ts';

/** Set by the controller manager on claims whose class names a provisioner outside of it. */
const claimedBy = 'volume.kubernetes.io/storage-provisioner';
/** Set on a volume by who made it. */
const madeBy = 'pv.kubernetes.io/provisioned-by';

/**
 * Makes a folder for each claim of the StorageClass `local`, and removes it when the claim is gone: the protocol of
 * Kubernetes' external provisioners.
 *
 * @returns what to stop it with
 */
export function provisionVolumes(api: Api, layout: Layout, log: (line: string) => void): () => void {
  const stop = new AbortController();
  /** Keys at work, so that the next event doesn't begin the same again. */
  const busy = new Set<string>();
  const once = (key: string, work: () => Promise<void>) => {
    if (busy.has(key)) return;
    busy.add(key);
    work()
      .catch((error: Error) => log(`volume ${key}: ${error.message}`))
      .finally(() => busy.delete(key));
  };
  api.follow(
    '/api/v1/persistentvolumeclaims',
    (claims) => {
      for (const claim of claims.values()) {
        if (wantsVolume(claim)) once(claim.metadata.uid!, () => makeVolume(api, layout, claim));
      }
    },
    stop.signal,
  );
  api.follow(
    '/api/v1/persistentvolumes',
    (volumes) => {
      for (const volume of volumes.values()) {
        if (isReleased(volume)) once(volume.metadata.name, () => removeVolume(api, layout, volume));
      }
    },
    stop.signal,
  );
  return () => stop.abort();
}

function wantsVolume(claim: KubeObject): boolean {
  return (
    claim.metadata.annotations?.[claimedBy] === provisioner &&
    claim.metadata.deletionTimestamp === undefined &&
    claim.spec?.volumeName === undefined &&
    claim.spec?.volumeMode !== 'Block'
  );
}

function isReleased(volume: KubeObject): boolean {
  return (
    volume.metadata.annotations?.[madeBy] === provisioner &&
    volume.spec?.persistentVolumeReclaimPolicy === 'Delete' &&
    volume.status?.phase === 'Released'
  );
}

/** The folder's name: the claim's uid makes it new for a claim of the same name. */
function folderOf(layout: Layout, volume: string): string {
  if (!/^pvc-[0-9a-f-]{36}$/.test(volume)) throw new Error(`${volume} is not the name of a volume made here`);
  return join(layout.volumes, volume);
}

async function makeVolume(api: Api, layout: Layout, claim: KubeObject): Promise<void> {
  const { name, namespace, uid } = claim.metadata;
  const volume = `pvc-${uid}`;
  const folder = folderOf(layout, volume);
  await mkdir(folder, { recursive: true });
  // Any user that a pod runs as may write. The folders above are root's alone.
  await chmod(folder, 0o777);
  const requests = (claim.spec?.resources as { requests?: { storage?: string } } | undefined)?.requests;
  try {
    await api.create('/api/v1/persistentvolumes', {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: volume, annotations: { [madeBy]: provisioner } },
      spec: {
        // Bound to this claim from its birth: no other can take it.
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
        capacity: { storage: requests?.storage ?? '1Gi' },
        accessModes: claim.spec?.accessModes ?? ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Delete',
        storageClassName: claim.spec?.storageClassName ?? 'local',
        volumeMode: 'Filesystem',
        local: { path: folder },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [layout.nodeName] }] },
            ],
          },
        },
      },
    });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error; // made before; it is being bound
  }
}

async function removeVolume(api: Api, layout: Layout, volume: KubeObject): Promise<void> {
  await rm(folderOf(layout, volume.metadata.name), { recursive: true, force: true });
  try {
    await api.remove(`/api/v1/persistentvolumes/${volume.metadata.name}`);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}
