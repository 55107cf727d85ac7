import { ports } from '../addresses.ts';
import { authorityPath, certificatePath, keyPath } from '../keys.ts';
import { type Component, flags, goEnvironment, type Plan, probeSocket } from './component.ts';

export function etcd({ layout, settings }: Plan): Component {
  const client = `https://127.0.0.1:${ports.etcd}`;
  const peer = `https://127.0.0.1:${ports.etcdPeer}`;
  const ca = authorityPath(layout, 'etcd');
  const cert = certificatePath(layout, 'etcd');
  const key = keyPath(layout, 'etcd');
  return {
    name: 'etcd',
    program: `${settings.engine.folder}/engine`,
    args: [
      'etcd',
      ...flags({
        name: layout.nodeName,
        'data-dir': layout.etcd,
        'listen-client-urls': client,
        'advertise-client-urls': client,
        'listen-peer-urls': peer,
        'initial-advertise-peer-urls': peer,
        'initial-cluster': `${layout.nodeName}=${peer}`,
        'client-cert-auth': true,
        'trusted-ca-file': ca,
        'cert-file': cert,
        'key-file': key,
        'peer-client-cert-auth': true,
        'peer-trusted-ca-file': ca,
        'peer-cert-file': cert,
        'peer-key-file': key,
        'tls-min-version': 'TLS1.3',
        // A member that is alone elects itself: at the usual second of waiting nothing is gained.
        'heartbeat-interval': 50,
        'election-timeout': 250,
        'log-level': 'warn',
      }),
    ],
    env: goEnvironment(layout, 120),
    inside: true,
    needs: ['anchor', 'portal'],
    files: {},
    probe: {
      kind: 'http',
      socket: probeSocket(layout, 'etcd'),
      path: '/readyz',
      tls: {
        serverName: 'localhost',
        ca,
        certificate: certificatePath(layout, 'apiserver-etcd-client'),
        key: keyPath(layout, 'apiserver-etcd-client'),
      },
    },
  };
}
