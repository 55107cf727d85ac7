import { addresses, ports } from '../addresses.ts';
import { kubeconfigPath } from '../kubeconfig.ts';
import { type Component, flags, goEnvironment, json, type Plan, probeSocket } from './component.ts';

export function proxy({ layout, settings }: Plan): Component {
  const config = `${layout.config}/proxy.json`;
  return {
    name: 'proxy',
    program: `${settings.engine.folder}/engine`,
    args: ['proxy', ...flags({ config })],
    env: goEnvironment(layout, 80),
    inside: true,
    needs: ['apiserver'],
    files: {
      [config]: json({
        apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
        kind: 'KubeProxyConfiguration',
        mode: settings.proxyMode,
        hostnameOverride: layout.nodeName,
        clientConnection: { kubeconfig: kubeconfigPath(layout, 'proxy') },
        clusterCIDR: addresses.pods,
        detectLocalMode: 'ClusterCIDR',
        healthzBindAddress: `127.0.0.1:${ports.proxyHealth}`,
        metricsBindAddress: '127.0.0.1:10249',
        oomScoreAdj: 0,
        // Zero leaves the kernel's own values, which are the machine's.
        conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
        // An endpoint that goes away takes requests until the next round: at a second's pause a rolling update loses some.
        [settings.proxyMode]: { minSyncPeriod: '100ms' },
      }),
    },
    probe: { kind: 'http', socket: probeSocket(layout, 'proxy'), path: '/livez' },
  };
}
