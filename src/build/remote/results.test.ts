import { describe, expect, it } from 'vitest';
import { type FolderEntry, folderSum } from '../artifact.ts';
import { startRemoteServer } from '../testing/remote-server.ts';
import { connect } from './connection.ts';
import { type Codec, type Digest, type Directory, digestOf } from './messages.ts';
import { entriesOf, folderOf, treeOf } from './results.ts';

async function codec(): Promise<Codec> {
  const server = await startRemoteServer();
  try {
    const connection = await connect({
      url: server.url,
      authority: server.url.slice('grpc://'.length),
      tls: undefined,
      authorization: undefined,
      instance: '',
      upload: true,
      warnings: [],
    });
    connection.close();
    return connection.codec;
  } finally {
    server.stop();
  }
}
const { tree, directory, ...rest } = await codec();
const protocol: Codec = { tree, directory, ...rest };

const sha256 = 'a'.repeat(64);
const digest: Digest = { hash: sha256, sizeBytes: 3 };
const empty: Directory = { files: [], directories: [], symlinks: [] };

describe('folders as trees', () => {
  it('come back as they went, in the same order', () => {
    const file = (path: string, executable = false): FolderEntry => ({
      kind: 'file',
      path,
      sha256,
      size: 3,
      executable,
    });
    const entries: FolderEntry[] = [
      file('B'),
      { kind: 'folder', path: 'a' },
      { kind: 'folder', path: 'a/empty' },
      { kind: 'symlink', path: 'a/link', target: '../B' },
      file('a/x', true),
      file('a.b'),
      { kind: 'folder', path: 'same' },
      { kind: 'folder', path: 'same/empty' },
      { kind: 'symlink', path: 'same/link', target: '../B' },
      file('same/x', true),
      file('ä'),
    ];
    const folder = folderOf(protocol, 'p', treeOf(protocol, entries));
    expect(folder).toEqual({ kind: 'folder', path: 'p', sha256: folderSum(entries), entries });
  });

  it.each<[string, Directory, Directory[]?]>([
    ['a name that leads up', { ...empty, files: [{ name: '../x', digest, isExecutable: false }] }],
    ['the name ..', { ...empty, files: [{ name: '..', digest, isExecutable: false }] }],
    ['no name', { ...empty, files: [{ name: '', digest, isExecutable: false }] }],
    [
      'a name twice',
      { ...empty, files: [{ name: 'x', digest, isExecutable: false }], symlinks: [{ name: 'x', target: 'y' }] },
    ],
    ['a link out of it', { ...empty, symlinks: [{ name: 'x', target: '../../etc/passwd' }] }],
    ['a link to an absolute path', { ...empty, symlinks: [{ name: 'x', target: '/etc/passwd' }] }],
    [
      'a sum that is none',
      { ...empty, files: [{ name: 'x', digest: { hash: '../a', sizeBytes: 1 }, isExecutable: false }] },
    ],
    ['no sum', { ...empty, files: [{ name: 'x', digest: null, isExecutable: false }] }],
    ['a folder that is not there', { ...empty, directories: [{ name: 'x', digest }] }],
  ])('are refused with %s', (_, root, children = []) => {
    expect(() => entriesOf(protocol, tree({ root, children }))).toThrow(
      expect.objectContaining({ problem: 'corrupt' }),
    );
  });

  it('are refused when a few bytes stand for more than a disk holds', () => {
    const children: Directory[] = [empty];
    for (let depth = 0; depth < 40; depth++) {
      const below = digestOf(directory(children.at(-1)!));
      children.push({ ...empty, directories: ['a', 'b'].map((name) => ({ name, digest: below })) });
    }
    const bytes = tree({ root: children.at(-1)!, children });
    expect(bytes.length).toBeLessThan(20_000);
    expect(() => entriesOf(protocol, bytes)).toThrow(/more than/);
  });

  it('are refused when they are too deep', () => {
    const children: Directory[] = [empty];
    for (let depth = 0; depth < 5_000; depth++) {
      children.push({ ...empty, directories: [{ name: 'a', digest: digestOf(directory(children.at(-1)!)) }] });
    }
    expect(() => entriesOf(protocol, tree({ root: children.at(-1)!, children }))).toThrow(/within each other/);
  });

  it('are refused when they are no message', () => {
    expect(() => entriesOf(protocol, Buffer.from('no tree at all'))).toThrow(
      expect.objectContaining({ problem: 'corrupt' }),
    );
    expect(() => entriesOf(protocol, Buffer.alloc(0))).toThrow(/is empty/);
  });
});
