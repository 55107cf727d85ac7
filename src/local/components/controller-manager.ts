import { addresses, ports } from '../addresses.ts';
import { authorityPath, certificatePath, keyPath, serviceAccountPaths } from '../keys.ts';
import { kubeconfigPath } from '../kubeconfig.ts';
import { type Component, flags, goEnvironment, type Plan, probeSocket } from './component.ts';

export function controllerManager({ layout, settings }: Plan): Component {
  const kubeconfig = kubeconfigPath(layout, 'controller-manager');
  return {
    name: 'controller-manager',
    program: `${settings.engine.folder}/engine`,
    args: [
      'controller-manager',
      ...flags({
        'bind-address': '127.0.0.1',
        'secure-port': ports.controllerManager,
        'tls-cert-file': certificatePath(layout, 'controller-manager-server'),
        'tls-private-key-file': keyPath(layout, 'controller-manager-server'),
        kubeconfig,
        'authentication-kubeconfig': kubeconfig,
        'authorization-kubeconfig': kubeconfig,
        'client-ca-file': authorityPath(layout, 'cluster'),
        'requestheader-client-ca-file': authorityPath(layout, 'front-proxy'),
        'root-ca-file': authorityPath(layout, 'cluster'),
        'cluster-signing-cert-file': authorityPath(layout, 'cluster'),
        'cluster-signing-key-file': `${layout.pki}/cluster-ca.key`,
        'service-account-private-key-file': serviceAccountPaths(layout).privateKey,
        'use-service-account-credentials': true,
        'allocate-node-cidrs': true,
        'cluster-cidr': addresses.pods,
        // One node has all of them: its own part is as large as the whole.
        'node-cidr-mask-size': 16,
        'service-cluster-ip-range': addresses.services,
        'leader-elect': false,
        profiling: false,
      }),
    ],
    env: goEnvironment(layout, 150),
    inside: true,
    needs: ['apiserver'],
    files: {},
    probe: {
      kind: 'http',
      socket: probeSocket(layout, 'controller-manager'),
      path: '/healthz',
      tls: {
        serverName: 'localhost',
        ca: authorityPath(layout, 'cluster'),
        certificate: certificatePath(layout, 'supervisor'),
        key: keyPath(layout, 'supervisor'),
      },
    },
  };
}
