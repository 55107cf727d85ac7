import { ImageFault } from './fault.ts';
import { rootLinks } from './merged.ts';
import { directoryEntry, fileEntry, type LayerEntry, symlinkEntry } from './tar/write.ts';

/** Who runs programs where an image does not say. The number that distroless images use too. */
export const nonroot = 65532;

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell?: string;
}

/** base-passwd's numbers, for what files of packages belong to and programs ask for. */
const accounts: readonly Account[] = [
  { name: 'root', uid: 0, gid: 0, home: '/root', shell: '/bin/sh' },
  { name: 'nobody', uid: 65534, gid: 65534, home: '/nonexistent' },
  { name: 'nonroot', uid: nonroot, gid: nonroot, home: '/home/nonroot' },
];
const groups: Readonly<Record<string, number>> = {
  root: 0,
  tty: 5,
  mail: 8,
  shadow: 42,
  utmp: 43,
  staff: 50,
  nonroot,
  nogroup: 65534,
};

/** Folders that every Linux program may expect. Mount points among them are made so that a read-only root will do. */
const folders: readonly LayerEntry[] = [
  directoryEntry('dev'),
  directoryEntry('etc'),
  directoryEntry('home'),
  directoryEntry('proc', { mode: 0o555 }),
  directoryEntry('root', { mode: 0o700 }),
  directoryEntry('run'),
  directoryEntry('run/lock', { mode: 0o1777 }),
  directoryEntry('sys', { mode: 0o555 }),
  directoryEntry('tmp', { mode: 0o1777 }),
  directoryEntry('usr/bin'),
  directoryEntry('usr/lib'),
  directoryEntry('usr/lib32'),
  directoryEntry('usr/lib64'),
  directoryEntry('usr/libx32'),
  directoryEntry('usr/sbin'),
  directoryEntry('var/lib'),
  directoryEntry('var/tmp', { mode: 0o1777 }),
];

/** glibc looks names up as told here; without the file it does not ask DNS in every version. */
const nsswitch = `passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
`;

/** Folders and links at the root of an image without a base. */
export function rootEntries(): LayerEntry[] {
  return [
    ...folders,
    ...Object.entries(rootLinks).map(([from, to]) => symlinkEntry(from, from.includes('/') ? `/${to}` : to)),
    fileEntry('etc/nsswitch.conf', nsswitch),
  ];
}

/**
 * Accounts and their homes.
 *
 * @param users further accounts, name -> number (of user and group); at home in /home/NAME, below 1000 in /var/lib/NAME
 * @param existing passwd and group of the base image, which keep their lines
 * @throws ImageFault image/bad-user
 */
export function accountEntries(
  users: Readonly<Record<string, number>>,
  existing?: { readonly passwd: string; readonly group: string },
): LayerEntry[] {
  const added = Object.entries(users).map(([name, id]) => account(name, id));
  const passwd = merge(existing?.passwd ?? '', [...accounts, ...added].map(passwdLine));
  const group = merge(existing?.group ?? '', [
    ...Object.entries(groups).map(([name, id]) => `${name}:x:${id}:`),
    ...added.map(({ name, gid }) => `${name}:x:${gid}:`),
  ]);
  const homes = [...accounts, ...added].filter(({ uid }) => uid !== 0 && uid !== 65534);
  return [
    ...homes.map(({ home, uid, gid }) => directoryEntry(home.slice(1), { uid, gid })),
    fileEntry('etc/passwd', passwd),
    fileEntry('etc/group', group),
  ];
}

function account(name: string, id: number): Account {
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(name)) {
    throw new ImageFault('image/bad-user', `${JSON.stringify(name)} can't be the name of a user`, {
      next: 'use lower-case letters, digits, _ and -, at most 32',
    });
  }
  if (!Number.isSafeInteger(id) || id < 1 || id > 4_294_967_294) {
    throw new ImageFault('image/bad-user', `${id} can't be the number of the user ${name}`);
  }
  return { name, uid: id, gid: id, home: id < 1000 ? `/var/lib/${name}` : `/home/${name}` };
}

function passwdLine({ name, uid, gid, home, shell }: Account): string {
  return `${name}:x:${uid}:${gid}:${name}:${home}:${shell ?? '/usr/sbin/nologin'}`;
}

/** The lines in the order of their numbers; a line of the same name replaces the earlier, one number has one name. */
function merge(existing: string, lines: readonly string[]): string {
  const byName = new Map<string, string>();
  for (const line of [...existing.split('\n').filter((text) => text.includes(':')), ...lines]) {
    byName.set(line.slice(0, line.indexOf(':')), line);
  }
  const numbers = new Map<number, string>();
  for (const [name, line] of byName) {
    const id = Number(line.split(':')[2]);
    const other = numbers.get(id);
    if (other !== undefined) throw new ImageFault('image/bad-user', `${name} and ${other} both have the number ${id}`);
    numbers.set(id, name);
  }
  const sorted = [...byName.values()].sort((a, b) => Number(a.split(':')[2]) - Number(b.split(':')[2]));
  return `${sorted.join('\n')}\n`;
}
