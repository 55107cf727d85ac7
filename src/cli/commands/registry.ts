import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { stateFolder, withLock } from '../../disk/index.ts';
import {
  checkRegistry,
  collectGarbage,
  createAccess,
  createRegistryHandler,
  createRegistryServer,
  durationOf,
  hashPassword,
  ImageFault,
  isDuration,
  listRegistry,
  newToken,
  openBlobStore,
  type RegistrySettingsFile,
  readRegistrySettings,
  removeFromRegistry,
} from '../../image/index.ts';
import type { CommandContext } from '../context.ts';
import { UsageFault } from '../usage.ts';
import { count } from '../views/count.ts';

export function define(command: Command, context: CommandContext): void {
  command.addHelpText(
    'after',
    `
Examples:
  banksman registry serve --config registry.yaml           with users, TLS and quotas, as docs/registry.md says
  banksman registry serve --anonymous pull                 on 127.0.0.1:5000; everybody may pull, nobody push
  banksman registry ls                                     repositories with their tags and sizes
  banksman registry rm bank/ledger:v1                      a tag
  banksman registry gc --dry-run                           what nothing leads to any more
  banksman registry check                                  reads all of it and holds it against its sums
  banksman registry password                               the sum of a password, for registry.yaml`,
  );
  const root = () => `the registry's folder; ${stateFolder('registry')} unless told`;
  command
    .command('serve')
    .description('serve a registry of images, with all of the OCI distribution specification')
    .option('--root <folder>', root())
    .option('--config <file>', 'users, access, TLS, quotas')
    .option('--listen <address>', 'host:port, or unix:PATH; 127.0.0.1:5000 unless told')
    .option('--anonymous <pull|push>', 'lets everybody pull, or push and delete too, without saying who they are')
    .option('--insecure-http', 'speaks without TLS on an address that others can reach')
    .addHelpText(
      'after',
      `
A registry on a network address asks who its clients are: give it users by --config, or say --anonymous.

Examples:
  banksman registry serve --config registry.yaml --listen 0.0.0.0:5000
  banksman registry serve --listen unix:/run/banksman/registry.sock`,
    )
    .action((options: ServeOptions) => serve(options, context));
  command
    .command('ls')
    .description('repositories with their tags and sizes')
    .argument('[repository]', 'this one and those below it; all unless told')
    .option('--root <folder>', root())
    .option('--json', 'a JSON list')
    .action(async (repository: string | undefined, options: { root?: string; json?: boolean }) => {
      const { store, folder } = await openRoot(options.root);
      const found = await listRegistry(store, folder, repository);
      if (options.json) return context.terminal.print(JSON.stringify(found, undefined, 2));
      for (const { repository: name, tags, manifests, bytes } of found) {
        context.terminal.print(`${name}  ${count(manifests, 'manifest')}, ${size(bytes)}`);
        for (const { tag, digest } of tags) context.terminal.print(`  ${tag}  ${digest}`);
      }
    });
  command
    .command('rm')
    .description('remove tags, or manifests with their tags')
    .argument('<names...>', 'bank/ledger:v1, or bank/ledger@sha256:...')
    .option('--root <folder>', root())
    .action(async (names: string[], options: { root?: string }) => {
      const { store, folder } = await openRoot(options.root);
      for (const name of names) {
        await removeFromRegistry(store, folder, name);
        context.terminal.print(`${context.terminal.paint.good('✓')} ${name} removed`);
      }
      context.progress.say('the space comes back with: banksman registry gc');
    });
  command
    .command('gc')
    .description('remove what nothing leads to; the registry may serve meanwhile')
    .option('--root <folder>', root())
    .option('--grace <time>', 'leaves alone what was pushed or asked for within this time: 30m, 24h', '24h')
    .option('--untagged', 'removes manifests too that no tag leads to')
    .option('--dry-run', 'only says what would go')
    .option('--json', 'a JSON object')
    .action((options: CollectOptions) => collect(options, context));
  command
    .command('check')
    .description('read all of it and hold it against its sums')
    .option('--root <folder>', root())
    .option('--json', 'a JSON object')
    .action(async (options: { root?: string; json?: boolean }) => {
      const { store, folder } = await openRoot(options.root);
      const task = context.progress.begin('check');
      const result = await checkRegistry(store, folder, (name) => task.update(name));
      task.done();
      if (options.json) context.terminal.print(JSON.stringify(result, undefined, 2));
      if (result.problems.length > 0)
        throw new ImageFault('image/registry-damaged', `the registry has ${count(result.problems.length, 'problem')}`, {
          notes: result.problems.slice(0, 50),
          next: 'push again what is damaged; check the disk',
        });
      if (!options.json)
        context.terminal.print(
          `${context.terminal.paint.good('✓')} ${result.repositories} repositories, ${count(result.manifests, 'manifest')}, ${count(result.blobs, 'blob')}: all well`,
        );
    });
  command
    .command('password')
    .description('print the sum of a password, which is read from standard input')
    .addHelpText('after', '\nExample:\n  printf %s "$PASSWORD" | banksman registry password')
    .action(async () => {
      const password = await secretFromInput();
      if (password.length < 8)
        throw new UsageFault('cli/wrong-use', 'a password has 8 characters at least', {
          next: 'banksman registry token makes a good one',
        });
      context.terminal.print(await hashPassword(password));
    });
  command
    .command('token')
    .description('make a random token, and print it with the sum that goes into registry.yaml')
    .action(() => {
      const { token, hash } = newToken();
      context.terminal.print(`token  ${token}`);
      context.terminal.print(`sum    ${hash}`);
    });
}

interface ServeOptions {
  readonly root?: string;
  readonly config?: string;
  readonly listen?: string;
  readonly anonymous?: string;
  readonly insecureHttp?: boolean;
}

async function serve(options: ServeOptions, context: CommandContext): Promise<void> {
  const { anonymous } = options;
  if (anonymous !== undefined && anonymous !== 'pull' && anonymous !== 'push')
    throw new UsageFault('cli/wrong-use', `--anonymous is pull or push, not ${anonymous}`);
  let settings = options.config === undefined ? undefined : await readRegistrySettings(options.config);
  const listen = options.listen ?? settings?.listen ?? '127.0.0.1:5000';
  const socket = listen.startsWith('unix:') ? listen.slice('unix:'.length) : undefined;
  const address = socket === undefined ? parseAddress(listen) : undefined;
  if (address !== undefined && settings === undefined && anonymous === undefined)
    throw new UsageFault('cli/wrong-use', `nobody could use a registry at ${listen}: it has no users`, {
      next: 'give it users by --config (docs/registry.md), or say --anonymous pull',
    });
  if (address !== undefined && !address.loopback && settings?.tls === undefined && !options.insecureHttp)
    throw new UsageFault(
      'cli/wrong-use',
      `${listen} can be reached by others, and there is no TLS: passwords would be read`,
      {
        next: 'give it a certificate by --config (tls), or say --insecure-http',
      },
    );
  const { store, folder } = await openRoot(options.root);
  const access = () => ({
    users: settings?.users ?? {},
    rules: [...(settings?.rules ?? []), ...anonymousRules(anonymous)],
    ...(settings?.challenge && { challenge: settings.challenge }),
  });
  const open = socket !== undefined && settings === undefined;
  const handler = createRegistryHandler(store, {
    root: folder,
    ...(!open && createAccess(access)),
    ...(settings && {
      quotas: settings.quotas,
      ...(settings.maximumBlob !== undefined && { maximumBlob: settings.maximumBlob }),
      ...(settings.uploadsExpireAfter !== undefined && { uploadsExpireAfter: settings.uploadsExpireAfter }),
    }),
    onError: (error) => context.progress.say(`error: ${error instanceof Error ? error.message : error}`),
  });
  const server = createRegistryServer(handler, settings?.tls && readTls(settings.tls));
  const reload = async () => {
    if (options.config === undefined) return;
    try {
      settings = await readRegistrySettings(options.config);
      context.progress.say('users and access are read again; other settings count from the next start on');
    } catch (error) {
      context.progress.say(`the settings stay as they were: ${(error as Error).message}`);
    }
  };
  process.on('SIGHUP', reload);
  const body = async () => {
    if (socket !== undefined) await rm(socket, { force: true });
    if (socket !== undefined) server.listen(socket);
    else server.listen(address!.port, address!.host);
    const failed = once(server, 'error').then(([error]) => Promise.reject(error));
    await Promise.race([once(server, 'listening'), failed]).catch((error: NodeJS.ErrnoException) => {
      throw new ImageFault('image/bad-registry-settings', `the registry can't listen on ${listen}: ${error.message}`, {
        next:
          error.code === 'EADDRINUSE' ? 'stop what listens there, or choose another address by --listen' : undefined,
      });
    });
    if (socket !== undefined) await chmod(socket, 0o600);
    const bound = server.address();
    const shown = typeof bound === 'object' && bound !== null ? `${address!.shown}:${bound.port}` : listen;
    context.terminal.print(`registry  ${settings?.tls ? 'https' : 'http'}  ${shown}  ${folder}`);
    // What is under way gets a moment to end.
    if (!context.signal.aborted) await once(context.signal, 'abort');
    server.close();
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 3_000).unref();
    await once(server, 'close');
  };
  try {
    await withLock(join(folder, 'serving'), body, { timeout: 0 });
  } catch (error) {
    if ((error as { code?: string }).code !== 'disk/locked') throw error;
    throw new ImageFault('image/bad-registry-settings', `another process serves ${folder}`, {
      next: 'stop it, or serve another folder by --root',
    });
  } finally {
    process.off('SIGHUP', reload);
  }
}

function anonymousRules(anonymous: 'pull' | 'push' | undefined) {
  if (anonymous === undefined) return [];
  const everybody = ['anonymous'];
  return [{ repositories: '**', pull: everybody, ...(anonymous === 'push' && { push: everybody, delete: everybody }) }];
}

function readTls({ cert, key, clientAuthorities }: NonNullable<RegistrySettingsFile['tls']>) {
  const read = (path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const why = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'it may not be read' : message;
      throw new ImageFault('image/bad-registry-settings', `tls: ${path} can't be read: ${why}`, {
        next: 'give the certificate, its key and the authorities of clients as files in PEM, by absolute paths or paths from the settings file',
      });
    }
  };
  return {
    cert: read(cert),
    key: read(key),
    ...(clientAuthorities !== undefined && { clientAuthorities: read(clientAuthorities) }),
  };
}

function parseAddress(text: string): { host: string; shown: string; port: number; loopback: boolean } {
  const [, shown = '', port = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  const host = shown.replace(/^\[(.*)\]$/, '$1');
  if (host === '' || Number(port) > 65535)
    throw new UsageFault('cli/wrong-use', `${text} is not an address`, { next: 'write it as 127.0.0.1:5000' });
  const loopback = host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  return { host, shown, port: Number(port), loopback };
}

interface CollectOptions {
  readonly root?: string;
  readonly grace: string;
  readonly untagged?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

async function collect(options: CollectOptions, context: CommandContext): Promise<void> {
  if (!isDuration(options.grace))
    throw new UsageFault('cli/wrong-use', `${options.grace} is not a time`, { next: 'write it as 30m, 24h or 7d' });
  const { store, folder } = await openRoot(options.root);
  const { dryRun = false, untagged = false } = options;
  const task = context.progress.begin('gc');
  const found = await collectGarbage({
    store,
    root: folder,
    grace: durationOf(options.grace),
    untagged,
    dryRun,
    sweepStore: true,
    onProgress: (repository) => task.update(repository),
  });
  task.done();
  const { terminal } = context;
  if (options.json) return terminal.print(JSON.stringify({ dryRun, ...found }, undefined, 2));
  for (const { repository, digest } of found.manifests) terminal.print(`manifest  ${repository}@${digest}`);
  for (const { repository, digest, size: bytes } of found.blobs)
    terminal.print(`blob      ${repository}@${digest}  ${size(bytes)}`);
  terminal.print(
    `${dryRun ? 'would free' : 'freed'} ${size(found.freed)}: ${count(found.manifests.length, 'manifest')}, ${count(found.blobs.length, 'blob')}, ${count(found.uploads, 'upload')}`,
  );
}

async function openRoot(root: string | undefined) {
  const folder = root === undefined ? stateFolder('registry') : resolve(root);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return { folder, store: await openBlobStore(join(folder, 'blobs')) };
}

function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes === 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** The first line of standard input; on a terminal it is not shown while it is typed. */
async function secretFromInput(): Promise<string> {
  const { stdin } = process;
  if (stdin.isTTY) {
    process.stderr.write('password: ');
    stdin.setRawMode(true);
  }
  let text = '';
  try {
    for await (const piece of stdin as AsyncIterable<Buffer>) {
      text += piece.toString('utf8');
      if (stdin.isTTY && text.includes('\u0003')) throw new UsageFault('cli/wrong-use', 'no password was given');
      if (/[\r\n\u0004]/.test(text)) break;
    }
  } finally {
    if (stdin.isTTY) {
      stdin.setRawMode(false);
      process.stderr.write('\n');
    }
  }
  return text.split(/[\r\n\u0004]/)[0] ?? '';
}
