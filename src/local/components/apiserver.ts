import { readFileSync } from 'node:fs';
import { addresses, ports } from '../addresses.ts';
import { authorityPath, certificatePath, encryptionKeyPath, keyPath, serviceAccountPaths } from '../keys.ts';
import type { Layout } from '../layout.ts';
import { type Component, flags, goEnvironment, json, type Plan, probeSocket, type TlsClient } from './component.ts';

export function apiserver({ layout, settings }: Plan): Component {
  const serviceAccount = serviceAccountPaths(layout);
  const encryption = `${layout.config}/encryption.json`;
  return {
    name: 'apiserver',
    program: `${settings.engine.folder}/engine`,
    args: [
      'apiserver',
      ...flags({
        'advertise-address': addresses.node,
        'bind-address': '0.0.0.0',
        'secure-port': ports.apiserver,
        'service-cluster-ip-range': addresses.services,
        'allow-privileged': true,
        'anonymous-auth': false,
        'authorization-mode': 'Node,RBAC',
        'enable-admission-plugins': 'NodeRestriction',
        'client-ca-file': authorityPath(layout, 'cluster'),
        'tls-cert-file': certificatePath(layout, 'apiserver'),
        'tls-private-key-file': keyPath(layout, 'apiserver'),
        'tls-min-version': 'VersionTLS12',
        'etcd-servers': `https://127.0.0.1:${ports.etcd}`,
        'etcd-cafile': authorityPath(layout, 'etcd'),
        'etcd-certfile': certificatePath(layout, 'apiserver-etcd-client'),
        'etcd-keyfile': keyPath(layout, 'apiserver-etcd-client'),
        'encryption-provider-config': encryption,
        'kubelet-certificate-authority': authorityPath(layout, 'cluster'),
        'kubelet-client-certificate': certificatePath(layout, 'apiserver-kubelet-client'),
        'kubelet-client-key': keyPath(layout, 'apiserver-kubelet-client'),
        'kubelet-preferred-address-types': 'InternalIP',
        'requestheader-client-ca-file': authorityPath(layout, 'front-proxy'),
        'requestheader-allowed-names': 'front-proxy-client',
        'requestheader-username-headers': 'X-Remote-User',
        'requestheader-group-headers': 'X-Remote-Group',
        'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
        'proxy-client-cert-file': certificatePath(layout, 'front-proxy-client'),
        'proxy-client-key-file': keyPath(layout, 'front-proxy-client'),
        'service-account-issuer': `https://kubernetes.default.svc.${addresses.domain}`,
        'service-account-key-file': serviceAccount.publicKey,
        'service-account-signing-key-file': serviceAccount.privateKey,
        profiling: false,
      }),
    ],
    env: goEnvironment(layout, 400),
    inside: true,
    needs: ['etcd'],
    files: { [encryption]: json(encryptionConfiguration(layout)) },
    probe: {
      kind: 'http',
      socket: probeSocket(layout, 'apiserver'),
      path: '/readyz',
      tls: supervisorClient(layout),
    },
  };
}

/** How the supervisor speaks to the API. */
export function supervisorClient(layout: Layout): TlsClient {
  return {
    serverName: 'localhost',
    ca: authorityPath(layout, 'cluster'),
    certificate: certificatePath(layout, 'supervisor'),
    key: keyPath(layout, 'supervisor'),
  };
}

function encryptionConfiguration(layout: Layout): unknown {
  const secret = readFileSync(encryptionKeyPath(layout), 'utf8').trim();
  return {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [
      { resources: ['secrets'], providers: [{ secretbox: { keys: [{ name: 'key1', secret }] } }, { identity: {} }] },
    ],
  };
}
