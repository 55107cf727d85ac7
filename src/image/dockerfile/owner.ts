import { type FileNode, resolvePath, type Tree } from './tree.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Why an owner can't be found. */
export class OwnerProblem extends Error {
  readonly next: string;

  constructor(message: string, next: string) {
    super(message);
    this.next = next;
  }
}

/** Bytes of /etc/passwd that are read. */
const maximumAccounts = 1024 * 1024;
const maximumId = 4_294_967_294;

/**
 * `user`, `user:group`, `1000:1000` in any mixture. Names are looked up in the /etc/passwd and /etc/group of the tree; a number needs
 * neither. Without a group a name has that of its account, and a number the same number.
 *
 * @param read the bytes of a file of the tree
 * @throws OwnerProblem
 */
export async function resolveOwner(
  text: string,
  tree: Tree,
  read: (file: { readonly bytes: FileNode['content']['bytes']; readonly size: number }) => Promise<Buffer>,
): Promise<Owner> {
  const [user = '', group, ...more] = text.split(':');
  if (user === '' || group === '' || more.length > 0) {
    throw new OwnerProblem(`${JSON.stringify(text.slice(0, 100))} is no owner`, 'write it as user:group');
  }
  const lines = async (file: string): Promise<string[][]> => {
    const place = resolvePath(tree, file.split('/').filter(Boolean));
    const node = place && tree.at(place);
    if (node?.type !== 'file') {
      throw new OwnerProblem(
        `${JSON.stringify(text)} is a name, and the image has no ${file}`,
        'use numbers, such as 1000:1000',
      );
    }
    const content = await read({ bytes: node.content.bytes, size: Math.min(node.size, maximumAccounts) });
    return content
      .toString('utf8')
      .split('\n')
      .map((line) => line.split(':'));
  };
  const unknown = (what: string, name: string, file: string) =>
    new OwnerProblem(
      `the image's ${file} has no ${what} ${JSON.stringify(name.slice(0, 100))}`,
      'use a name of the image, or a number',
    );
  let uid = idOf(user);
  let gid = uid;
  if (uid === undefined) {
    const account = (await lines('/etc/passwd')).find(([name]) => name === user);
    uid = idOf(account?.[2]);
    gid = idOf(account?.[3]);
    if (uid === undefined) throw unknown('user', user, '/etc/passwd');
  }
  if (group !== undefined) {
    gid = idOf(group) ?? idOf((await lines('/etc/group')).find(([name]) => name === group)?.[2]);
    if (gid === undefined) throw unknown('group', group, '/etc/group');
  }
  return { uid, gid: gid ?? 0 };
}

function idOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= maximumId ? id : undefined;
}
