import { ImageFault } from './fault.ts';
import { mergedPath, rootLinks } from './merged.ts';
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
const defaultGroups: Readonly<Record<string, number>> = {
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

/** An account that an image asks for. */
export interface User {
  readonly uid: number;
  /** The number of the group of the same name, which is made unless a group of this number is there; the uid unless told. */
  readonly gid?: number | undefined;
  /** /home/NAME, below 1000 /var/lib/NAME, unless told. */
  readonly home?: string | undefined;
  /** /usr/sbin/nologin unless told. */
  readonly shell?: string | undefined;
}

export interface Group {
  readonly gid: number;
  /** Names of users who belong to it besides those whose own group it is. */
  readonly members?: readonly string[] | undefined;
}

export interface AccountRequest {
  readonly users?: Readonly<Record<string, User>> | undefined;
  readonly groups?: Readonly<Record<string, Group>> | undefined;
  /** passwd and group of the base image, which keep their lines. */
  readonly existing?: { readonly passwd: string; readonly group: string } | undefined;
}

/** Who is known in an image, and the files that say so. */
export interface Accounts {
  /** etc/passwd, etc/group and the homes of those who were asked for. */
  readonly entries: readonly LayerEntry[];
  readonly users: ReadonlyMap<string, { readonly uid: number; readonly gid: number }>;
  readonly groups: ReadonlyMap<string, number>;
}

/**
 * Accounts and their homes: root, nobody, nonroot, and those asked for.
 *
 * @throws ImageFault image/bad-user
 */
export function accountsOf({ users = {}, groups = {}, existing }: AccountRequest): Accounts {
  const added = Object.entries(users).map(([name, user]) => account(name, user));
  const own = new Map(Object.entries(groups).map(([name, group]) => [name, checkedGroup(name, group)]));
  const numbers = new Set([...own.values()].map(({ gid }) => gid));
  // The group of a user's own name, unless another name was asked for by the same number.
  const implied = added.filter(({ name, gid }) => !own.has(name) && !numbers.has(gid));
  const before = new Set(lines(existing?.group ?? '').map(([, , id]) => Number(id)));
  const passwd = merge(existing?.passwd ?? '', accounts.map(passwdLine), added.map(passwdLine));
  const group = merge(
    existing?.group ?? '',
    Object.entries(defaultGroups).map(([name, id]) => groupLine(name, { gid: id })),
    [
      ...implied.filter(({ gid }) => !taken(before, gid)).map(({ name, gid }) => groupLine(name, { gid })),
      ...[...own].map(([name, each]) => groupLine(name, each)),
    ],
  );
  const known = new Map(lines(passwd).map(([name = '', , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }]));
  for (const [name, { members = [] }] of own) {
    for (const member of members) {
      if (!known.has(member))
        throw new ImageFault('image/bad-user', `${member}, a member of the group ${name}, is no user`);
    }
  }
  const homes = [...(existing === undefined ? accounts : []), ...added].filter(({ uid }) => uid !== 0 && uid !== 65534);
  return {
    entries: [
      ...homes.map(({ home, uid, gid }) => directoryEntry(mergedPath(home.slice(1)), { uid, gid })),
      fileEntry('etc/passwd', passwd),
      fileEntry('etc/group', group),
    ],
    users: known,
    groups: new Map(lines(group).map(([name = '', , gid]) => [name, Number(gid)])),
  };
}

/** The number is that of a group of the base or of one that every image has: the user joins it. */
function taken(before: ReadonlySet<number>, gid: number): boolean {
  return before.has(gid) || Object.values(defaultGroups).includes(gid);
}

function lines(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.includes(':'))
    .map((line) => line.split(':'));
}

/**
 * `user`, `user:group` or `:group`, by names or numbers, as numbers. A name alone brings its own group.
 *
 * @throws ImageFault image/bad-user for a name that the image does not know
 */
export function ownerOf(text: string, known: Pick<Accounts, 'users' | 'groups'>): { uid: number; gid: number } {
  const [user = '', group, ...more] = text.split(':');
  const unknown = (kind: string, name: string) =>
    new ImageFault('image/bad-user', `${JSON.stringify(text)}: the image has no ${kind} ${JSON.stringify(name)}`, {
      next: `add it to ${kind}s, or write its number`,
    });
  if (more.length > 0 || (user === '' && !group)) {
    throw new ImageFault('image/bad-user', `${JSON.stringify(text)} is not an owner such as app:app or 1000:1000`);
  }
  const found = user === '' ? { uid: 0, gid: 0 } : /^\d+$/.test(user) ? numbered(user, known) : known.users.get(user);
  if (found === undefined) throw unknown('user', user);
  if (group === undefined || group === '') return found;
  const gid = /^\d+$/.test(group) ? checkedId(Number(group), group) : known.groups.get(group);
  if (gid === undefined) throw unknown('group', group);
  return { uid: found.uid, gid };
}

function numbered(text: string, { users }: Pick<Accounts, 'users'>): { uid: number; gid: number } {
  const uid = checkedId(Number(text), text);
  return { uid, gid: [...users.values()].find((each) => each.uid === uid)?.gid ?? uid };
}

function checkedId(id: number, shown: string): number {
  if (Number.isSafeInteger(id) && id >= 0 && id <= 4_294_967_294) return id;
  throw new ImageFault('image/bad-user', `${shown} can't be the number of a user or group`);
}

function checkName(kind: string, name: string): void {
  if (/^[a-z_][a-z0-9_-]{0,31}$/.test(name)) return;
  throw new ImageFault('image/bad-user', `${JSON.stringify(name)} can't be the name of a ${kind}`, {
    next: 'use lower-case letters, digits, _ and -, at most 32',
  });
}

function account(name: string, { uid, gid = uid, home, shell }: User): Account {
  checkName('user', name);
  // 0 is root's, and root is there.
  if (uid === 0) throw new ImageFault('image/bad-user', `0 can't be the number of the user ${name}`);
  for (const id of [uid, gid]) checkedId(id, `${id}, of the user ${name},`);
  for (const path of [home, shell]) {
    if ((path !== undefined && !/^\/[^:\n\0]*$/.test(path)) || path?.split('/').includes('..')) {
      throw new ImageFault('image/bad-user', `${JSON.stringify(path)}, of the user ${name}, is not an absolute path`);
    }
  }
  return {
    name,
    uid,
    gid,
    home: home ?? (uid < 1000 ? `/var/lib/${name}` : `/home/${name}`),
    ...(shell !== undefined && { shell }),
  };
}

function checkedGroup(name: string, group: Group): Group {
  checkName('group', name);
  checkedId(group.gid, `${group.gid}, of the group ${name},`);
  return group;
}

function passwdLine({ name, uid, gid, home, shell }: Account): string {
  return `${name}:x:${uid}:${gid}:${name}:${home}:${shell ?? '/usr/sbin/nologin'}`;
}

function groupLine(name: string, { gid, members = [] }: Group): string {
  return `${name}:x:${gid}:${[...members].sort().join(',')}`;
}

/**
 * The lines in the order of their numbers. What every image has is added where the base has neither the name nor the number;
 * what was asked for replaces a line of its name, and may have no number that another name has.
 */
function merge(existing: string, common: readonly string[], asked: readonly string[]): string {
  const byName = new Map<string, string>();
  const parts = (line: string) => ({ name: line.slice(0, line.indexOf(':')), id: Number(line.split(':')[2]) });
  for (const line of existing.split('\n')) if (line.includes(':')) byName.set(parts(line).name, line);
  const wanted = new Set(asked.map((line) => parts(line).name));
  const numbers = new Set([...byName.values()].map((line) => parts(line).id));
  for (const line of common) {
    const { name, id } = parts(line);
    if (!byName.has(name) && !numbers.has(id) && !wanted.has(name)) byName.set(name, line);
  }
  for (const line of asked) {
    const { name, id } = parts(line);
    const other = [...byName.values()].map(parts).find((each) => each.id === id && each.name !== name);
    if (other) throw new ImageFault('image/bad-user', `${name} and ${other.name} both have the number ${id}`);
    byName.set(name, line);
  }
  const sorted = [...byName.values()].sort((a, b) => parts(a).id - parts(b).id);
  return `${sorted.join('\n')}\n`;
}
