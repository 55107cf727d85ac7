import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder, withLock, writeAtomically } from '../../src/disk/index.ts';
import { buildProgram } from './go-programs.ts';

const run = promisify(execFile);

/** A server of the Remote Execution API that others have written, with TLS, on 127.0.0.1. */
export interface RemoteCache {
  readonly name: string;
  /** Of the API; undefined for none. */
  readonly instance: string | undefined;
  /** Where it keeps contents as files. */
  readonly content: string;
  /** What it lets in, and what it does not. */
  readonly token: string;
  readonly wrongToken: string;
  start(port: number): ChildProcess;
}

/** Made in a folder that holds `cert.pem` and `key.pem` already. */
export const remoteCaches: Readonly<Record<string, (folder: string) => Promise<RemoteCache>>> = {
  'bazel-remote': bazelRemote,
  BuildGrid: buildGrid,
};

/** With a name and a password (RFC 7617). */
async function bazelRemote(folder: string): Promise<RemoteCache> {
  const program = await buildProgram('bazel-remote');
  const password = randomBytes(12).toString('hex');
  const passwords = join(folder, 'htpasswd');
  const { stdout } = await run('openssl', ['passwd', '-apr1', password]);
  await writeFile(passwords, `ci:${stdout.trim()}\n`);
  const basic = (secret: string) => `Basic ${Buffer.from(`ci:${secret}`).toString('base64')}`;
  const content = join(folder, 'content');
  return {
    name: 'bazel-remote',
    instance: undefined,
    content,
    token: basic(password),
    wrongToken: basic('another'),
    start: (port) =>
      spawn(
        program,
        [
          ...['--dir', content, '--max_size', '1', '--storage_mode', 'uncompressed', '--access_log_level', 'none'],
          ...[
            '--grpc_address',
            `127.0.0.1:${port}`,
            '--http_address',
            `unix://${folder}/${randomBytes(4).toString('hex')}.sock`,
          ],
          ...['--tls_cert_file', join(folder, 'cert.pem'), '--tls_key_file', join(folder, 'key.pem')],
          ...['--htpasswd_file', passwords],
        ],
        { stdio: 'ignore' },
      ),
  };
}

/** With tokens (JWT) as bearer. It is installed once, in about half a minute. */
async function buildGrid(folder: string): Promise<RemoteCache> {
  const program = await installBuildGrid();
  const secret = randomBytes(32).toString('hex');
  await writeFile(join(folder, 'secret'), secret);
  const content = join(folder, 'content');
  await mkdir(content);
  const configuration = (port: number) => `
server:
  - !channel
    address: "127.0.0.1:${port}"
    insecure-mode: false
    credentials:
      tls-server-key: ${folder}/key.pem
      tls-server-cert: ${folder}/cert.pem
authorization:
  method: jwt
  secret: ${folder}/secret
  algorithm: hs256
storages:
  - !disk-storage &content
    path: ${content}
caches:
  - !lru-action-cache &results
    storage: *content
    max-cached-refs: 1000
    allow-updates: true
    cache-failed-actions: false
instances:
  - name: main
    services:
      - !action-cache
        cache: *results
      - !cas
        storage: *content
      - !bytestream
        storage: *content
thread-pool-size: 20
`;
  return {
    name: 'BuildGrid',
    instance: 'main',
    content,
    token: signToken(secret),
    wrongToken: signToken('another secret'),
    start(port) {
      const path = join(folder, 'server.yml');
      writeFileSync(path, configuration(port));
      return spawn(program, ['server', 'start', path], { stdio: 'ignore' });
    },
  };
}

async function installBuildGrid(): Promise<string> {
  const list = join(import.meta.dirname, 'buildgrid.txt');
  const sum = createHash('sha256')
    .update(await readFile(list))
    .digest('hex')
    .slice(0, 12);
  const at = cacheFolder('test', `buildgrid-${sum}`);
  await withLock(`${at}.lock`, async () => {
    if ((await stat(join(at, 'whole')).catch(() => undefined)) !== undefined) return;
    await rm(at, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', at]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '-r', list];
    await run(join(at, 'bin/python'), pip);
    await writeAtomically(join(at, 'whole'), '');
  });
  return join(at, 'bin/bgd');
}

/** RFC 7519, with HMAC and SHA-256. */
function signToken(secret: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'e2e', exp: Math.floor(Date.now() / 1000) + 7200 })}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}
