import { createHash } from 'node:crypto';
import { addresses, ports } from './addresses.ts';
import type { Api } from './api.ts';
import type { Settings } from './settings.ts';

/** Name of what makes volumes for the StorageClass `local`: see volumes.ts. */
export const provisioner = 'banksman.local/volumes';

interface SystemObject {
  /** Path of the object in the API. */
  readonly path: string;
  readonly object: Record<string, unknown>;
}

/** Applies the objects that every cluster has; the same again changes nothing. */
export async function applySystemObjects(api: Api, settings: Settings): Promise<void> {
  await Promise.all(systemObjects(settings).map(({ path, object }) => api.apply(path, object)));
}

export function systemObjects(settings: Settings): SystemObject[] {
  return [...accessObjects(), storageClass(), ...registryObjects(), ...dnsObjects(settings.images.coredns.reference)];
}

function accessObjects(): SystemObject[] {
  const bind = (name: string, role: string, subject: { kind: 'Group' | 'User'; name: string }) =>
    clusterRoleBinding(name, role, { apiGroup: rbac, ...subject });
  return [
    bind('banksman:admins', 'cluster-admin', { kind: 'Group', name: 'banksman:admins' }),
    // Logs and exec: the API server speaks to the kubelet by this name.
    bind('banksman:apiserver', 'system:kubelet-api-admin', { kind: 'User', name: 'banksman:apiserver' }),
  ];
}

function storageClass(): SystemObject {
  return {
    path: '/apis/storage.k8s.io/v1/storageclasses/local',
    object: {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner,
      reclaimPolicy: 'Delete',
      // There is one node: nothing is gained by waiting for a pod to choose it.
      volumeBindingMode: 'Immediate',
    },
  };
}

const rbac = 'rbac.authorization.k8s.io';

function clusterRoleBinding(name: string, role: string, subject: Record<string, string>): SystemObject {
  return {
    path: `/apis/${rbac}/v1/clusterrolebindings/${encodeURIComponent(name)}`,
    object: {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
      subjects: [subject],
    },
  };
}

/** The registry under its own name: a pod that was given a certificate for it needs to know nothing else. */
function registryObjects(): SystemObject[] {
  const metadata = { name: 'registry', namespace: 'kube-system' };
  const port = { name: 'https', protocol: 'TCP' };
  return [
    {
      path: '/api/v1/namespaces/kube-system/services/registry',
      object: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata,
        spec: { clusterIP: addresses.registry, ports: [{ ...port, port: 443, targetPort: ports.registry }] },
      },
    },
    {
      // Without a selector nobody else makes it: it leads to the portal on the node.
      path: '/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/registry',
      object: {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'registry' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: [addresses.node], conditions: { ready: true } }],
        ports: [{ ...port, port: ports.registry }],
      },
    },
  ];
}

/**
 * There is no way out of the node, so that a name outside of the cluster can't be resolved: it is answered at once
 * as unknown, before a client loses seconds in waiting. The blocks are apart because CoreDNS asks `template`
 * before `kubernetes` within one, whatever their order here.
 */
const corefile = `${addresses.domain}:53 in-addr.arpa:53 ip6.arpa:53 {
    errors
    health {
        lameduck 1s
    }
    ready
    kubernetes ${addresses.domain} in-addr.arpa ip6.arpa {
        pods insecure
        ttl 5
    }
    prometheus :9153
    cache 5
    loadbalance
}
registry.local:53 {
    errors
    template IN A {
        answer "{{ .Name }} 30 IN A ${addresses.registry}"
    }
    template ANY ANY {
        rcode NOERROR
    }
}
.:53 {
    errors
    template ANY ANY {
        rcode NXDOMAIN
    }
}
`;

/** CoreDNS reads its file at its start: a new one makes a new pod. */
const corefileHash = createHash('sha256').update(corefile).digest('hex').slice(0, 12);

function dnsObjects(image: string): SystemObject[] {
  const namespace = 'kube-system';
  const labels = { 'k8s-app': 'kube-dns' };
  return [
    {
      path: `/api/v1/namespaces/${namespace}/serviceaccounts/coredns`,
      object: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'coredns', namespace } },
    },
    {
      path: `/apis/${rbac}/v1/clusterroles/${encodeURIComponent('system:coredns')}`,
      object: {
        apiVersion: `${rbac}/v1`,
        kind: 'ClusterRole',
        metadata: { name: 'system:coredns' },
        rules: [
          { apiGroups: [''], resources: ['services', 'namespaces'], verbs: ['list', 'watch'] },
          { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
        ],
      },
    },
    clusterRoleBinding('system:coredns', 'system:coredns', { kind: 'ServiceAccount', name: 'coredns', namespace }),
    {
      path: `/api/v1/namespaces/${namespace}/configmaps/coredns`,
      object: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'coredns', namespace },
        data: { Corefile: corefile },
      },
    },
    {
      path: `/api/v1/namespaces/${namespace}/services/kube-dns`,
      object: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'kube-dns', namespace, labels: { ...labels, 'kubernetes.io/name': 'CoreDNS' } },
        spec: {
          selector: labels,
          clusterIP: addresses.dns,
          ports: [
            { name: 'dns', port: 53, protocol: 'UDP', targetPort: 'dns' },
            { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 'dns-tcp' },
            { name: 'metrics', port: 9153, protocol: 'TCP', targetPort: 'metrics' },
          ],
        },
      },
    },
    {
      path: `/apis/apps/v1/namespaces/${namespace}/deployments/coredns`,
      object: {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'coredns', namespace, labels },
        spec: {
          replicas: 1,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels, annotations: { 'banksman.local/corefile': corefileHash } },
            spec: {
              serviceAccountName: 'coredns',
              priorityClassName: 'system-cluster-critical',
              dnsPolicy: 'Default',
              tolerations: [{ operator: 'Exists' }],
              securityContext: {
                runAsNonRoot: true,
                runAsUser: 65532,
                runAsGroup: 65532,
                // Port 53 without a capability: the setting is of the pod's own network namespace.
                sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '53' }],
                seccompProfile: { type: 'RuntimeDefault' },
              },
              containers: [
                {
                  name: 'coredns',
                  image,
                  imagePullPolicy: 'IfNotPresent',
                  args: ['-conf', '/etc/coredns/Corefile'],
                  env: [{ name: 'GOGC', value: '50' }],
                  resources: { limits: { memory: '170Mi' }, requests: { cpu: '50m', memory: '40Mi' } },
                  ports: [
                    { name: 'dns', containerPort: 53, protocol: 'UDP' },
                    { name: 'dns-tcp', containerPort: 53, protocol: 'TCP' },
                    { name: 'metrics', containerPort: 9153, protocol: 'TCP' },
                  ],
                  livenessProbe: {
                    httpGet: { path: '/health', port: 8080 },
                    timeoutSeconds: 5,
                    periodSeconds: 10,
                    failureThreshold: 5,
                  },
                  readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 2, timeoutSeconds: 2 },
                  securityContext: {
                    allowPrivilegeEscalation: false,
                    readOnlyRootFilesystem: true,
                    capabilities: { drop: ['ALL'] },
                  },
                  volumeMounts: [{ name: 'config', mountPath: '/etc/coredns', readOnly: true }],
                },
              ],
              volumes: [
                { name: 'config', configMap: { name: 'coredns', items: [{ key: 'Corefile', path: 'Corefile' }] } },
              ],
            },
          },
        },
      },
    },
  ];
}
