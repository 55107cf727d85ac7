import { chown, lchown, link, lstat, mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BankWorkspace, copyBank, execute, repository, serverParts } from './workspace.ts';

interface Listed {
  readonly label: string;
  readonly tag: string;
  readonly digest: string;
}

const removals: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const remove of removals) await remove();
});

/** Where this machine keeps what it has downloaded and compiled. */
const ownCache =
  process.env.BANKSMAN_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? '/', '.cache'), 'banksman');

/** A cache without a single result: only downloads, and the standard library of Go, which would take minutes. */
async function bareCache(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-bare-'));
  removals.push(() => rm(folder, { recursive: true, force: true }));
  for (const part of ['debian', 'go', 'maven', 'npm']) await linkTree(join(ownCache, part), join(folder, part));
  return folder;
}

async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true }).catch(() => [])) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    else if (entry.isFile() && !entry.name.endsWith('.lock')) await link(source, target);
  }
}

/** Other times for every file, and other orders in folders, as another checkout has them. */
async function disturb(folder: string, time = 1): Promise<void> {
  for (const entry of (await readdir(folder, { withFileTypes: true })).reverse()) {
    if (entry.name === '.git') continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await disturb(path, time * 3);
    if (!(await lstat(path)).isSymbolicLink()) await utimes(path, 946_684_800 + time, 946_684_800 + time);
  }
}

let first: BankWorkspace;
let second: BankWorkspace;

beforeAll(async () => {
  first = await copyBank({}, serverParts);
  removals.push(first.remove);
  second = await copyBank({}, serverParts);
  removals.push(second.remove);
});

/** Root can build as somebody else, where that one may read this repository. */
async function somebodyElse(): Promise<string> {
  if (process.getuid?.() !== 0) return '';
  const become = 'setpriv --reuid 12345 --regid 12345 --clear-groups';
  const readable = `${become} test -r '${join(repository, 'src/cli/main.ts')}' -a -x '${process.execPath}'`;
  return (await execute('/bin/sh', ['-c', readable])).code === 0 ? become : '';
}

/** Folders and copies become another user's; files that are links into this user's cache stay as they are. */
async function give(folder: string): Promise<void> {
  await chown(folder, 12345, 12345);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await give(path);
    else if ((await lstat(path)).nlink === 1) await lchown(path, 12345, 12345);
  }
}

const list = (text: string) => JSON.parse(text) as Listed[];

it('each image of the bank and of the platform is the same bytes, whoever builds it, where, and when', async () => {
  const here = list((await first.mustRun(['image', 'ls', '//bank/...', '//platform/...', '--json'])).stdout);
  const labels = here.map(({ label }) => label);
  expect(labels).toEqual(expect.arrayContaining(['//bank/ledger:image', '//platform/banksman:image']));
  await disturb(second.root);
  const cache = await bareCache();
  const become = await somebodyElse();
  if (become !== '') for (const folder of [second.root, cache]) await give(folder);
  // Another user, umask, zone, language, home, folder, cache, and Node where a second one is there.
  const node = process.env.BANKSMAN_OTHER_NODE ?? process.execPath;
  const program = `umask 077; exec ${become} '${node}' '${join(repository, 'src/cli/main.ts')}' image ls //bank/... //platform/... --json`;
  const there = await execute('/bin/sh', ['-c', program], {
    cwd: join(second.root, 'bank/ledger'),
    env: {
      PATH: process.env.PATH,
      HOME: join(second.root, 'bank'),
      BANKSMAN_CACHE: cache,
      TZ: 'Pacific/Kiritimati',
      LC_ALL: 'C',
      LANG: 'tr_TR.UTF-8',
      USER: 'somebody',
      SOURCE_DATE_EPOCH: '1234567890',
      CI: 'true',
    },
  });
  expect(there.stderr).not.toContain('error[');
  expect(list(there.stdout)).toEqual(here);
  for (const { label } of here) {
    const layout = `banksman-out/gen/${label.slice(2).replace(':', '/')}.oci`;
    const outcome = await execute('diff', ['-r', join(first.root, layout), join(second.root, layout)]);
    expect([label, outcome.code, outcome.stdout]).toEqual([label, 0, '']);
  }
  // Those for several architectures were compared as a whole: index, images and layers.
  for (const part of ['bank/gateway', 'bank/common/sidecar']) {
    const inspected = await first.mustRun(['image', 'inspect', `//${part}:image`, '--json']);
    expect((JSON.parse(inspected.stdout) as { images: unknown[] }).images).toHaveLength(2);
  }
});
