import { addresses, ports } from '../addresses.ts';
import { authorityPath, certificatePath, keyPath } from '../keys.ts';
import { kubeconfigPath } from '../kubeconfig.ts';
import { type Component, flags, goEnvironment, json, type Plan, probeSocket } from './component.ts';
import { containerdSocket } from './containerd.ts';

export function kubelet(plan: Plan): Component {
  const { layout, settings } = plan;
  const config = `${layout.config}/kubelet.json`;
  const resolver = `${layout.config}/resolv.conf`;
  return {
    name: 'kubelet',
    program: `${settings.engine.folder}/engine`,
    args: [
      'kubelet',
      ...flags({
        config,
        kubeconfig: kubeconfigPath(layout, 'kubelet'),
        'hostname-override': layout.nodeName,
        'node-ip': addresses.node,
        'root-dir': layout.kubelet,
        'cert-dir': `${layout.kubelet}/pki`,
      }),
    ],
    env: goEnvironment(layout, 150),
    inside: true,
    needs: ['containerd', 'apiserver'],
    files: {
      [config]: json(kubeletConfiguration(plan, resolver)),
      // Pods of the policy `Default`, CoreDNS above all: there is no resolver outside of the cluster.
      [resolver]: '# no name server outside of the cluster\n',
    },
    probe: { kind: 'http', socket: probeSocket(layout, 'kubelet'), path: '/healthz' },
  };
}

function kubeletConfiguration({ layout, openFiles }: Plan, resolvConf: string): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: addresses.node,
    port: ports.kubelet,
    readOnlyPort: 0,
    healthzBindAddress: '127.0.0.1',
    healthzPort: ports.kubeletHealth,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: authorityPath(layout, 'cluster') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: certificatePath(layout, 'kubelet-server'),
    tlsPrivateKeyFile: keyPath(layout, 'kubelet-server'),
    tlsMinVersion: 'VersionTLS12',
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: layout.cgroup,
    failCgroupV1: false,
    failSwapOn: false,
    // The kernel's settings are the machine's own: see namespaces.ts for what the kubelet is shown in their place.
    protectKernelDefaults: true,
    oomScoreAdj: 0,
    maxOpenFiles: openFiles,
    makeIPTablesUtilChains: false,
    clusterDNS: [addresses.dns],
    clusterDomain: addresses.domain,
    resolvConf,
    serializeImagePulls: false,
    maxParallelImagePulls: 4,
    volumePluginDir: `${layout.kubelet}/plugins-exec`,
    // The disk is the user's, not the node's own: room on it is judged by what is left, and late.
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '500Mi',
      'nodefs.inodesFree': '1%',
      'imagefs.available': '500Mi',
      'imagefs.inodesFree': '1%',
    },
    imageGCHighThresholdPercent: 98,
    imageGCLowThresholdPercent: 97,
    containerLogMaxSize: '10Mi',
    containerLogMaxFiles: 3,
    enableProfilingHandler: false,
    enableSystemLogHandler: false,
  };
}
