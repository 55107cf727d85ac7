import { createPrivateKey, createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import { addresses } from './addresses.ts';
import type { Authority, KeyPair, LeafRequest } from './certificate.ts';
import type { Layout } from './layout.ts';

/** Days. An authority lives as long as the cluster may; what it signs is renewed at `up`. */
const authorityLifetime = 3650;
const leafLifetime = 365;
/** Days before the end at which `up` makes a certificate anew. */
const renewBefore = 120;

export const authorities = ['cluster', 'front-proxy', 'etcd', 'registry', 'server'] as const;
export type AuthorityName = (typeof authorities)[number];

/**
 * Every certificate of a cluster. The cluster's authority says who a user of the Kubernetes API is; etcd, the
 * aggregation layer, the registry and Banksman's server have authorities of their own, so that no certificate opens what it isn't for.
 */
export function leaves(layout: Layout): Record<LeafName, { authority: AuthorityName; request: LeafRequest }> {
  const loopback = ['127.0.0.1'];
  const client = (commonName: string, ...organizations: string[]): LeafRequest => ({
    commonName,
    organizations,
    use: ['client'],
    lifetime: leafLifetime,
  });
  const server = (commonName: string, dnsNames: string[], addressList: string[]): LeafRequest => ({
    commonName,
    use: ['server'],
    dnsNames,
    addresses: addressList,
    lifetime: leafLifetime,
  });
  const cluster = (request: LeafRequest) => ({ authority: 'cluster' as const, request });
  const etcd = (request: LeafRequest) => ({ authority: 'etcd' as const, request });
  const registry = (request: LeafRequest) => ({ authority: 'registry' as const, request });
  return {
    apiserver: cluster(
      server(
        'kube-apiserver',
        [
          'localhost',
          'kubernetes',
          'kubernetes.default',
          'kubernetes.default.svc',
          `kubernetes.default.svc.${addresses.domain}`,
        ],
        [...loopback, addresses.node, addresses.kubernetes],
      ),
    ),
    // The apiserver's own identity towards the kubelet; bound to system:kubelet-api-admin and nothing more.
    'apiserver-kubelet-client': cluster(client('banksman:apiserver')),
    'apiserver-etcd-client': etcd(client('kube-apiserver')),
    'front-proxy-client': { authority: 'front-proxy', request: client('front-proxy-client') },
    etcd: etcd({
      commonName: 'etcd',
      use: ['server', 'client'],
      dnsNames: ['localhost'],
      addresses: loopback,
      lifetime: leafLifetime,
    }),
    'controller-manager': cluster(client('system:kube-controller-manager')),
    'controller-manager-server': cluster(server('kube-controller-manager', ['localhost'], loopback)),
    scheduler: cluster(client('system:kube-scheduler')),
    'scheduler-server': cluster(server('kube-scheduler', ['localhost'], loopback)),
    kubelet: cluster(client(`system:node:${layout.nodeName}`, 'system:nodes')),
    'kubelet-server': cluster(server(`system:node:${layout.nodeName}`, [layout.nodeName], [addresses.node])),
    proxy: cluster(client('system:kube-proxy')),
    // The one certificate of the built-in group that no binding can take rights from: it sets up the bindings.
    supervisor: cluster(client('banksman:supervisor', 'system:masters')),
    admin: cluster(client('banksman:admin', 'banksman:admins')),
    'registry-server': registry(server('registry.local', ['registry.local', 'localhost'], loopback)),
    'registry-node': registry(client('node')),
    'registry-user': registry(client('user')),
    // For pods that are given it: they read what the registry has.
    'registry-reader': registry(client('reader')),
    // Banksman's own server as a pod of this cluster: its Service's names, and where the host reaches it.
    server: {
      authority: 'server',
      request: server('banksman', ['localhost', 'banksman', 'banksman.banksman', 'banksman.banksman.svc'], loopback),
    },
  };
}

export type LeafName =
  | 'apiserver'
  | 'apiserver-kubelet-client'
  | 'apiserver-etcd-client'
  | 'front-proxy-client'
  | 'etcd'
  | 'controller-manager'
  | 'controller-manager-server'
  | 'scheduler'
  | 'scheduler-server'
  | 'kubelet'
  | 'kubelet-server'
  | 'proxy'
  | 'supervisor'
  | 'admin'
  | 'registry-server'
  | 'registry-node'
  | 'registry-user'
  | 'registry-reader'
  | 'server';

export function authorityPath(layout: Layout, name: AuthorityName): string {
  return join(layout.pki, `${name}-ca.crt`);
}

export function certificatePath(layout: Layout, name: LeafName): string {
  return join(layout.pki, `${name}.crt`);
}

export function keyPath(layout: Layout, name: LeafName): string {
  return join(layout.pki, `${name}.key`);
}

/** Signs and checks the tokens of service accounts. */
export function serviceAccountPaths(layout: Layout): { readonly privateKey: string; readonly publicKey: string } {
  return { privateKey: join(layout.pki, 'service-account.key'), publicKey: join(layout.pki, 'service-account.pub') };
}

/** Encrypts Secrets in etcd. */
export function encryptionKeyPath(layout: Layout): string {
  return join(layout.pki, 'encryption.key');
}

/**
 * Makes what is missing, was asked for differently, or ends soon. Keys that exist stay: a Secret in etcd is only read with
 * the key that it was written with.
 *
 * @returns names of the certificates that are new
 */
export async function ensureKeys(layout: Layout): Promise<string[]> {
  await mkdir(layout.pki, { recursive: true, mode: 0o700 });
  const changed: string[] = [];
  const signers = {} as Record<AuthorityName, Authority>;
  for (const name of authorities) {
    const file = authorityPath(layout, name);
    const keyFile = join(layout.pki, `${name}-ca.key`);
    const found = await readPair(file, keyFile);
    if (found && isFresh(found, leafLifetime + renewBefore)) {
      signers[name] = { name, ...found };
      continue;
    }
    const { makeAuthority } = await writer();
    // Two authorities of one name would be told apart by their keys alone, which not every client can.
    const made = await makeAuthority(
      `banksman-${layout.name} ${name} ${randomBytes(4).toString('hex')}`,
      authorityLifetime,
    );
    await writePair(file, keyFile, made);
    signers[name] = { ...made, name };
    changed.push(`${name}-ca`);
  }
  for (const [name, { authority, request }] of Object.entries(leaves(layout)) as [
    LeafName,
    { authority: AuthorityName; request: LeafRequest },
  ][]) {
    const found = await readPair(certificatePath(layout, name), keyPath(layout, name));
    if (found && isFresh(found, renewBefore) && matches(found, signers[authority], request)) continue;
    const { issue } = await writer();
    await writePair(certificatePath(layout, name), keyPath(layout, name), await issue(signers[authority], request));
    changed.push(name);
  }
  const { privateKey, publicKey } = serviceAccountPaths(layout);
  if (!(await readText(privateKey)) || !(await readText(publicKey))) {
    const { makePrivateKey } = await writer();
    const key = makePrivateKey();
    await writeAtomically(privateKey, key, 0o600);
    const open = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'pem' });
    await writeAtomically(publicKey, open as string, 0o600);
    changed.push('service-account');
  }
  if (!(await readText(encryptionKeyPath(layout)))) {
    await writeAtomically(encryptionKeyPath(layout), `${randomBytes(32).toString('base64')}\n`, 0o600);
    changed.push('encryption');
  }
  return changed;
}

/** Loaded only where something must be made: it takes a tenth of a second. */
const writer = () => import('./certificate.ts');

async function readPair(certificate: string, key: string): Promise<KeyPair | undefined> {
  const [certificateText, keyText] = await Promise.all([readText(certificate), readText(key)]);
  return certificateText && keyText ? { certificate: certificateText, key: keyText } : undefined;
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

async function writePair(certificate: string, key: string, pair: KeyPair): Promise<void> {
  // Key first: a certificate without its key would look whole after a crash in between.
  await writeAtomically(key, pair.key, 0o600);
  await writeAtomically(certificate, pair.certificate, 0o600);
}

/** Readable, its key its own, and valid for at least so many days more. */
function isFresh(pair: KeyPair, days: number): boolean {
  try {
    const certificate = new X509Certificate(pair.certificate);
    if (!certificate.checkPrivateKey(createPrivateKey(pair.key))) return false;
    const end = Date.parse(certificate.validTo);
    return Date.parse(certificate.validFrom) <= Date.now() && end - Date.now() > days * 24 * 3600 * 1000;
  } catch {
    return false;
  }
}

function matches(pair: KeyPair, signer: Authority, request: LeafRequest): boolean {
  const certificate = new X509Certificate(pair.certificate);
  if (!certificate.verify(new X509Certificate(signer.certificate).publicKey)) return false;
  const subject = [...(request.organizations ?? []).map((name) => `O=${name}`), `CN=${request.commonName}`];
  if (certificate.subject !== subject.join('\n')) return false;
  const names = [
    ...(request.dnsNames ?? []).map((name) => `DNS:${name}`),
    ...(request.addresses ?? []).map((address) => `IP Address:${address}`),
  ];
  if ((certificate.subjectAltName ?? '') !== names.join(', ')) return false;
  const uses = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' };
  const wanted = request.use.map((use) => uses[use]);
  return JSON.stringify([...(certificate.keyUsage ?? [])].sort()) === JSON.stringify(wanted.sort());
}
