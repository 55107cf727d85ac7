import { lstat, mkdir, readdir, readlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeAtomically } from '../disk/index.ts';
import { isFault } from '../fault/index.ts';
import type { Progress } from '../progress/index.ts';
import { execute } from './execute.ts';
import { systemPath } from './system-file.ts';
import { resolveTool } from './tool.ts';

/** Where an action's scratch folder appears to it: the same path for each, so that it can't get into an output. */
export const scratchMount = '/tmp/banksman';
/** Where files below the home folder appear to it, whoever's home that is. */
const homeMount = '/home/build';

export interface SandboxRequest {
  readonly program: string;
  readonly args: readonly string[];
  /** The scratch folder on this machine. */
  readonly scratch: string;
  /** Where the scratch folder appears; `scratchMount` for commands, its own path for built-in actions. */
  readonly mount: string;
  /** Folder that the program runs in, below `mount`. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly network: boolean;
  /** Further folders or files: at their own paths, or at another one. */
  readonly readable: readonly (string | Shown)[];
  readonly writable: readonly string[];
}

/** A file or folder, and where it appears. */
export interface Shown {
  readonly from: string;
  readonly to: string;
}

/**
 * Where a command sees a file of the system, and where that is on this machine.
 *
 * @param path absolute, or `~/...`
 * @param root where the command sees its scratch folder
 */
export function shownFile(path: string, root: string): Shown {
  const from = systemPath(path);
  const isConfined = root === scratchMount;
  return { from, to: isConfined && path.startsWith('~/') ? `${homeMount}${path.slice(1)}` : from };
}

/** What to start, to have a program run in its sandbox. */
export interface Confined {
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
}

/**
 * How actions are confined on this machine. In the sandbox of bubblewrap, an action sees the system's programs and
 * libraries read-only, its scratch folder, and nothing else of the disk: not the workspace, not the home folder, not
 * other processes, and no network but a loopback of its own. It runs as uid 1000 whoever builds.
 */
export interface Sandbox {
  /** False where this machine does not let us, or lacks bubblewrap. */
  readonly confines: boolean;
  /** Path of the scratch folder as commands see it. */
  mountFor(scratch: string): string;
  confine(request: SandboxRequest): Confined;
}

/** @param folder of the cache, for the few files that the sandbox shows in place of the system's */
export async function openSandbox(folder: string, progress: Progress): Promise<Sandbox> {
  const reason = await (async (): Promise<string | Sandbox> => {
    const bubblewrap = await resolveTool('bwrap').catch((error: unknown) => {
      if (isFault(error)) return undefined;
      throw error;
    });
    if (bubblewrap === undefined) return 'bubblewrap is not installed (apt-get install bubblewrap)';
    const system = await systemMounts(folder);
    for (const proc of [
      ['--proc', '/proc'],
      // In a container without the right to mount it, the process list of the outside has to do.
      ['--ro-bind', '/proc', '/proc'],
    ]) {
      const sandbox = bubblewrapSandbox(bubblewrap.path, [...system, ...proc]);
      const failure = await tryOut(sandbox, folder);
      if (failure === undefined) return sandbox;
      if (proc[0] !== '--proc') return `bubblewrap can't make one here: ${failure}`;
    }
    return '';
  })();
  if (typeof reason !== 'string') return reason;
  progress.say(`warning: actions run without a sandbox, and could read what they do not declare: ${reason}`);
  return {
    confines: false,
    mountFor: (scratch) => scratch,
    confine: ({ program, args, folder: at }) => ({ program, args, folder: at }),
  };
}

function bubblewrapSandbox(bubblewrap: string, system: readonly string[]): Sandbox {
  return {
    confines: true,
    mountFor: () => scratchMount,
    confine(request) {
      const args = [
        '--unshare-user',
        '--unshare-pid',
        '--unshare-ipc',
        '--unshare-uts',
        ...(request.network ? [] : ['--unshare-net']),
        '--die-with-parent',
        '--new-session',
        '--uid',
        '1000',
        '--gid',
        '1000',
        '--hostname',
        'banksman',
        ...system,
        ...(request.network ? ['--ro-bind-try', '/etc/resolv.conf', '/etc/resolv.conf'] : []),
        ...request.readable.flatMap((each) =>
          typeof each === 'string' ? ['--ro-bind', each, each] : ['--ro-bind', each.from, each.to],
        ),
        '--bind',
        request.scratch,
        request.mount,
        ...request.writable.flatMap((path) => ['--bind', path, path]),
        '--remount-ro',
        '/',
        '--chdir',
        request.folder,
        '--',
        request.program,
        ...request.args,
      ];
      return { program: bubblewrap, args, folder: request.scratch };
    },
  };
}

/**
 * What of /etc programs need to work; a name ending in `-` is the beginning of one. The rest is nobody's business: whoever
 * builds as root could read keys and passwords there.
 */
const configuration = [
  'alternatives',
  'ca-certificates',
  'debian_version',
  'java-',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'mime.types',
  'nsswitch.conf',
  'os-release',
  'pki',
  'protocols',
  'services',
  'ssl',
];

/** Folders of the system that hold programs and libraries, as Debian and its kin lay them out. */
async function systemMounts(folder: string): Promise<string[]> {
  const args: string[] = ['--ro-bind', '/usr', '/usr'];
  for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']) {
    const found = await lstat(`/${name}`).catch(() => undefined);
    if (found === undefined) continue;
    if (found.isSymbolicLink()) args.push('--symlink', await readlink(`/${name}`), `/${name}`);
    else args.push('--ro-bind', `/${name}`, `/${name}`);
  }
  args.push('--ro-bind-try', '/opt', '/opt', '--dir', '/etc');
  for (const name of await readdir('/etc')) {
    if (configuration.some((known) => (known.endsWith('-') ? name.startsWith(known) : name === known))) {
      args.push('--ro-bind', `/etc/${name}`, `/etc/${name}`);
    }
  }
  // Accounts and names are the same on each machine.
  const files = {
    passwd: 'root:x:0:0:root:/:/usr/sbin/nologin\nbuild:x:1000:1000:build:/tmp:/bin/bash\n',
    group: 'root:x:0:\nbuild:x:1000:\n',
    hosts: '127.0.0.1 localhost banksman\n::1 localhost\n',
  };
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, 'sandbox', name);
    await writeAtomically(path, content);
    args.push('--ro-bind', path, `/etc/${name}`);
  }
  args.push('--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/var/tmp', '--dir', '/run');
  return args;
}

/** @returns why it does not work; undefined where it does */
async function tryOut(sandbox: Sandbox, folder: string): Promise<string | undefined> {
  const scratch = join(folder, 'sandbox', 'trial');
  await mkdir(dirname(scratch), { recursive: true });
  await mkdir(scratch, { recursive: true });
  await writeFile(join(scratch, 'seen'), '');
  const { program, args } = sandbox.confine({
    program: '/bin/bash',
    args: ['-c', `test -e ${scratchMount}/seen && test ! -e ${scratch}`],
    scratch,
    mount: scratchMount,
    folder: scratchMount,
    env: {},
    network: false,
    readable: [],
    writable: [],
  });
  const signal = new AbortController().signal;
  const tried = await execute({ program, args, folder: scratch, env: {}, timeout: 10_000, signal });
  return tried.code === 0 ? undefined : tried.text.trim().split('\n').at(-1) || `exit code ${tried.code}`;
}
