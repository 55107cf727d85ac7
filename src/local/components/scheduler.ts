import { ports } from '../addresses.ts';
import { authorityPath, certificatePath, keyPath } from '../keys.ts';
import { kubeconfigPath } from '../kubeconfig.ts';
import { type Component, flags, goEnvironment, json, type Plan, probeSocket } from './component.ts';

export function scheduler({ layout, settings }: Plan): Component {
  const kubeconfig = kubeconfigPath(layout, 'scheduler');
  const config = `${layout.config}/scheduler.json`;
  return {
    name: 'scheduler',
    program: `${settings.engine.folder}/engine`,
    args: [
      'scheduler',
      ...flags({
        config,
        'bind-address': '127.0.0.1',
        'secure-port': ports.scheduler,
        'tls-cert-file': certificatePath(layout, 'scheduler-server'),
        'tls-private-key-file': keyPath(layout, 'scheduler-server'),
        'authentication-kubeconfig': kubeconfig,
        'authorization-kubeconfig': kubeconfig,
        'client-ca-file': authorityPath(layout, 'cluster'),
        'requestheader-client-ca-file': authorityPath(layout, 'front-proxy'),
      }),
    ],
    env: goEnvironment(layout, 100),
    inside: true,
    needs: ['apiserver'],
    files: {
      [config]: json({
        apiVersion: 'kubescheduler.config.k8s.io/v1',
        kind: 'KubeSchedulerConfiguration',
        clientConnection: { kubeconfig },
        leaderElection: { leaderElect: false },
        enableProfiling: false,
      }),
    },
    probe: {
      kind: 'http',
      socket: probeSocket(layout, 'scheduler'),
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
