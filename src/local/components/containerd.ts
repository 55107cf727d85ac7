import { addresses, ports } from '../addresses.ts';
import { authorityPath, certificatePath, keyPath } from '../keys.ts';
import { type Component, goEnvironment, json, type Plan } from './component.ts';

/** As a process inside of the cluster's mount namespace sees it: that has a /run of its own. */
export const containerdSocket = '/run/containerd/containerd.sock';

export function containerd({ layout, settings }: Plan): Component {
  const config = `${layout.config}/containerd.toml`;
  const registries = `${layout.config}/registries`;
  const networks = `${layout.config}/cni`;
  return {
    name: 'containerd',
    program: 'containerd',
    args: ['--config', config, '--log-level', 'warn'],
    env: { ...goEnvironment(layout, 150), TMPDIR: '/run' },
    inside: true,
    needs: ['anchor'],
    files: {
      [config]: containerdConfig({ settings, root: layout.containerd, registries, networks }),
      // containerd's hosts.md: the folder's name is what an image reference begins with.
      [`${registries}/registry.local/hosts.toml`]: registryHosts({
        ca: authorityPath(layout, 'registry'),
        certificate: certificatePath(layout, 'registry-node'),
        key: keyPath(layout, 'registry-node'),
      }),
      [`${networks}/10-banksman.conflist`]: json(podNetwork),
    },
    probe: { kind: 'socket', path: containerdSocket },
  };
}

/**
 * Each pod hangs on a veth pair of its own and is reached by a route (`ptp`). Without a bridge, traffic between pods always
 * passes the node's firewall, so that Services work without br_netfilter.
 */
const podNetwork = {
  cniVersion: '1.0.0',
  name: 'banksman',
  plugins: [
    {
      type: 'ptp',
      ipMasq: false,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: addresses.pods }]],
        routes: [{ dst: '0.0.0.0/0' }],
        // In the memory of the namespace: the reservations end with the pods' addresses.
        dataDir: '/run/cni',
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

/** TOML's basic strings are JSON's, but for what no path here holds. */
const quote = (text: string) => JSON.stringify(text);

function containerdConfig(values: {
  settings: Plan['settings'];
  root: string;
  registries: string;
  networks: string;
}): string {
  const { settings, root, registries, networks } = values;
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = ${quote(root)}
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing",
]

[grpc]
  address = ${quote(containerdSocket)}

[plugins."io.containerd.internal.v1.opt"]
  path = ${quote(`${root}/opt`)}

[${cri}]
  sandbox_image = ${quote(settings.images.pause.reference)}
  # Lowering a process's score takes CAP_SYS_RESOURCE, which containers and some virtual machines lack.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [${cri}.containerd]
    snapshotter = ${quote(settings.snapshotter)}
    default_runtime_name = "runc"
    discard_unpacked_layers = true
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
  [${cri}.cni]
    bin_dir = ${quote(settings.cni)}
    conf_dir = ${quote(networks)}
    max_conf_num = 1
  [${cri}.registry]
    config_path = ${quote(registries)}
`;
}

function registryHosts(files: { ca: string; certificate: string; key: string }): string {
  const server = `https://127.0.0.1:${ports.registry}`;
  const access = `capabilities = ["pull", "resolve"]
ca = ${quote(files.ca)}
client = [[${quote(files.certificate)}, ${quote(files.key)}]]
`;
  // Said twice: containerd 1.6 wants a `host` table, and asks the server itself as well where that host answers 404.
  return `server = ${quote(server)}
${access}
[host.${quote(server)}]
${access}`;
}
