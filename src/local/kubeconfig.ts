import { readFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { writeAtomically } from '../disk/index.ts';
import { ports } from './addresses.ts';
import { authorityPath, certificatePath, keyPath, type LeafName } from './keys.ts';
import type { Layout } from './layout.ts';

/** Path of a component's kubeconfig. */
export function kubeconfigPath(layout: Layout, leaf: LeafName): string {
  return `${layout.config}/${leaf}.kubeconfig`;
}

/** A component's: by path, so that a renewed certificate is found where the old one was. */
export async function writeComponentKubeconfig(layout: Layout, leaf: LeafName): Promise<void> {
  const text = formatKubeconfig(
    layout,
    { server: `https://127.0.0.1:${ports.apiserver}`, 'certificate-authority': authorityPath(layout, 'cluster') },
    { 'client-certificate': certificatePath(layout, leaf), 'client-key': keyPath(layout, leaf) },
  );
  await writeAtomically(kubeconfigPath(layout, leaf), text, 0o600);
}

/** The administrator's: whole, so that it can be copied. */
export async function writeAdminKubeconfig(layout: Layout, apiPort: number): Promise<void> {
  const encoded = async (path: string) => (await readFile(path)).toString('base64');
  const text = formatKubeconfig(
    layout,
    {
      server: `https://127.0.0.1:${apiPort}`,
      'certificate-authority-data': await encoded(authorityPath(layout, 'cluster')),
    },
    {
      'client-certificate-data': await encoded(certificatePath(layout, 'admin')),
      'client-key-data': await encoded(keyPath(layout, 'admin')),
    },
  );
  await writeAtomically(layout.kubeconfig, text, 0o600);
}

function formatKubeconfig(layout: Layout, cluster: Record<string, string>, user: Record<string, string>): string {
  const name = layout.context;
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  });
}
