import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

const program = fileURLToPath(new URL('../../bin/banksman', import.meta.url));
let folder = '';
let child: ChildProcess | undefined;
let base = '';

function banksman(args: readonly string[], input = ''): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const running = execFile(program, ['registry', ...args], { timeout: 30_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
    running.stdin?.end(input);
  });
}

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-registry-'));
  const args = ['registry', 'serve', '--root', join(folder, 'root'), '--listen', '127.0.0.1:0', '--anonymous', 'push'];
  child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout!, 'data');
  base = `http://${/http {2}(\S+)/.exec(String(line))?.[1]}`;
}, 30_000);

afterAll(async () => {
  child?.kill('SIGTERM');
  if (child?.exitCode === null) await once(child, 'exit');
  await rm(folder, { recursive: true, force: true });
});

describe('what would be open to everybody is not served', () => {
  test.each([
    ['without users', ['--listen', '127.0.0.1:0'], 'it has no users'],
    ['to others without TLS', ['--listen', '0.0.0.0:0', '--anonymous', 'pull'], 'passwords would be read'],
    ['at an address that is none', ['--listen', 'here', '--anonymous', 'pull'], 'is not an address'],
    ['to somebody unknown', ['--anonymous', 'delete'], '--anonymous is pull or push'],
  ])('%s', async (_, args, text) => {
    const outcome = await banksman(['serve', '--root', join(folder, 'other'), ...args]);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expect(outcome.stderr).toContain(text);
  });

  test('twice', async () => {
    const args = ['serve', '--root', join(folder, 'root'), '--listen', '127.0.0.1:0', '--anonymous', 'pull'];
    const outcome = await banksman(args);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('another process serves');
  });

  test('a socket is for its owner alone', async () => {
    const path = join(folder, 'registry.sock');
    const other = spawn(program, ['registry', 'serve', '--root', join(folder, 'third'), '--listen', `unix:${path}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(other.stdout, 'data');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    other.kill('SIGTERM');
    const [code] = await once(other, 'exit');
    expect(code).toBe(0);
  });
});

test('SIGHUP: users are read again, and a file that is wrong changes nothing', async () => {
  const config = join(folder, 'registry.yaml');
  const settings = (token: string) => `
users: { ci: { tokens: ["${digestOf(token)}"] } }
access: [{ repositories: "**", push: [ci] }]
challenge: basic
`;
  await writeFile(config, settings('first'));
  const args = ['registry', 'serve', '--root', join(folder, 'reloaded'), '--listen', '127.0.0.1:0', '--config', config];
  const other = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void other.kill('SIGKILL'));
  const said = lines(other.stderr);
  const [line] = await once(other.stdout, 'data');
  const at = `http://${/http {2}(\S+)/.exec(String(line))?.[1]}/v2/`;
  const status = async (token: string) => {
    const authorization = `Basic ${Buffer.from(`ci:${token}`).toString('base64')}`;
    return (await fetch(at, { headers: { authorization } })).status;
  };
  const reload = async (text: string) => {
    await writeFile(config, text);
    other.kill('SIGHUP');
    return await said();
  };
  expect([await status('first'), await status('second')]).toEqual([200, 401]);
  expect(await reload(settings('second'))).toContain('users and access are read again');
  expect([await status('first'), await status('second')]).toEqual([401, 200]);
  expect(await reload('users: { ci: { pasword: x } }')).toContain('the settings stay as they were');
  expect([await status('first'), await status('second')]).toEqual([401, 200]);
  other.kill('SIGTERM');
  await once(other, 'exit');
}, 60_000);

/** Lines of a stream, one at each call. */
function lines(stream: Readable): () => Promise<string> {
  const each = createInterface(stream)[Symbol.asyncIterator]();
  return async () => String((await each.next()).value);
}

test('ls, rm, gc and check beside the server', async () => {
  for (const text of ['{}', 'layer', 'loose'])
    await fetch(`${base}/v2/bank/ledger/blobs/uploads/?digest=${digestOf(text)}`, { method: 'POST', body: text });
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: { mediaType: 'text/plain', digest: digestOf('{}'), size: 2 },
    layers: [{ mediaType: 'text/plain', digest: digestOf('layer'), size: 5 }],
  });
  const put = await fetch(`${base}/v2/bank/ledger/manifests/v1`, {
    method: 'PUT',
    body: manifest,
    headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
  });
  expect(put.status).toBe(201);
  const root = ['--root', join(folder, 'root')];
  expect((await banksman(['ls', ...root])).stdout).toBe(
    `bank/ledger  1 manifest, ${manifest.length + 12} B\n  v1  ${digestOf(manifest)}\n`,
  );
  const dry = await banksman(['gc', ...root, '--grace', '0s', '--dry-run', '--json']);
  expect(JSON.parse(dry.stdout)).toMatchObject({ dryRun: true, blobs: [{ digest: digestOf('loose') }], freed: 5 });
  expect(await banksman(['gc', ...root])).toMatchObject({
    code: 0,
    stdout: 'freed 0 B: 0 manifests, 0 blobs, 0 uploads\n',
  });
  const real = await banksman(['gc', ...root, '--grace', '0s']);
  expect(real.stdout).toContain('freed 5 B: 0 manifests, 1 blob, 0 uploads');
  expect((await fetch(`${base}/v2/bank/ledger/blobs/${digestOf('loose')}`)).status).toBe(404);
  expect((await banksman(['check', ...root])).stdout).toContain('1 manifest, 2 blobs: all well');
  const blob = join(folder, 'root/repositories/bank/ledger/_blobs', digestOf('layer').slice(7));
  await writeFile(blob, 'Layer');
  const damaged = await banksman(['check', ...root]);
  expect(damaged.code).toBe(1);
  expect(damaged.stderr).toContain('error[image/registry-damaged]');
  expect(damaged.stderr).toContain(digestOf('layer'));
  expect((await banksman(['rm', ...root, 'bank/ledger:v2'])).code).toBe(1);
  expect((await banksman(['rm', ...root, 'bank/ledger:v1'])).code).toBe(0);
  expect((await fetch(`${base}/v2/bank/ledger/manifests/v1`)).status).toBe(404);
  expect((await banksman(['rm', ...root, '../etc:v1'])).stderr).toContain('error[image/bad-reference]');
  await banksman(['gc', ...root, '--grace', '0s', '--untagged']);
  expect(await readdir(join(folder, 'root/repositories/bank/ledger/_blobs'))).toEqual([]);
  expect(await readdir(join(folder, 'root/blobs/sha256'))).toEqual([]);
}, 60_000);

test('password and token print sums for the settings', async () => {
  const { stdout } = await banksman(['password'], 'a long password\n');
  expect(stdout).toMatch(/^scrypt:16384:8:5:[\w-]+:[\w-]{43}\n$/);
  expect((await banksman(['password'], 'short\n')).code).toBe(2);
  const token = await banksman(['token']);
  const [, secret = '', sum] = /^token {2}(\S+)\nsum {4}(\S+)\n$/.exec(token.stdout) ?? [];
  expect(sum).toBe(digestOf(secret));
});
