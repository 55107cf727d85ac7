import type { Layout } from '../layout.ts';
import type { Settings } from '../settings.ts';

/** What a component is made from. */
export interface Plan {
  readonly layout: Layout;
  readonly settings: Settings;
  /** Greatest number of open files that a process may ask for here; raising it takes a right that is not had everywhere. */
  readonly openFiles: number;
}

/** One process of a cluster, as data: the supervisor starts it, asks whether it is well, and starts it again. */
export interface Component {
  readonly name: ComponentName;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Inside of the cluster's namespaces; the portal alone stands outside. */
  readonly inside: boolean;
  /** What must be ready before the first start. */
  readonly needs: readonly ComponentName[];
  /** Files that it reads, by path; written before it starts, readable by root alone. */
  readonly files: Readonly<Record<string, string>>;
  readonly probe: Probe;
}

export type ComponentName =
  | 'anchor'
  | 'portal'
  | 'etcd'
  | 'containerd'
  | 'apiserver'
  | 'controller-manager'
  | 'scheduler'
  | 'kubelet'
  | 'proxy';

/** How a component is asked whether it is ready. */
export type Probe =
  /** HTTP over a socket that the portal holds; 200 is ready. With TLS where there is a server name. */
  | { readonly kind: 'http'; readonly socket: string; readonly path: string; readonly tls?: TlsClient }
  /** Something accepts connections at a path, as a process inside sees the path. */
  | { readonly kind: 'socket'; readonly path: string }
  /** A file exists, as the component itself sees the path. */
  | { readonly kind: 'file'; readonly path: string }
  /** The portal's status file names the revision of its configuration. */
  | { readonly kind: 'portal'; readonly status: string };

export interface TlsClient {
  readonly serverName: string;
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Where the operating system's programs are. Not the user's own PATH: the cluster outlives the shell. */
export const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Environment of every component. @param memory soft limit of the Go heap, MiB */
export function goEnvironment(layout: Layout, memory: number): Record<string, string> {
  return {
    PATH: systemPath,
    HOME: layout.root,
    LANG: 'C.UTF-8',
    // Collects at half the usual growth: these heaps are small, and memory is what a laptop lacks.
    GOGC: '50',
    GOMEMLIMIT: `${memory}MiB`,
  };
}

/** Socket on the host by which the supervisor reaches a port of the node. */
export function probeSocket(layout: Layout, name: ComponentName | 'dns'): string {
  return `${layout.run}/${name}.sock`;
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** `--key=value` for each entry, in order. */
export function flags(entries: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(entries).map(([key, value]) => `--${key}=${value}`);
}
