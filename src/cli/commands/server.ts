import type { Command } from 'commander';
import { newSealKey, openTokens, type Role, roles, startServer } from '../../server/index.ts';
import { readTraceSettings } from '../../trace/index.ts';
import type { CommandContext } from '../context.ts';
import { type DatabaseChoice, databaseAddress, withDatabase, withDatabaseOption } from '../database.ts';
import { secretKeys } from '../secret-keys.ts';
import { addClusterCommands } from '../server-commands.ts';
import { serverCore } from '../server-core.ts';
import { UsageFault } from '../usage.ts';
import { here } from '../workspace.ts';

interface Options extends DatabaseChoice {
  readonly host: string;
  readonly port: number;
  readonly behindTls?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly inCluster?: string;
  readonly secretKeys?: string;
}

export function define(command: Command, context: CommandContext): void {
  withDatabaseOption(command)
    .option('--host <address>', 'the address that is listened on', '127.0.0.1')
    .option('--port <number>', 'the port', port, 7700)
    .option('--tls-cert <file>', 'speak TLS with this certificate; a new one in its place is taken within a minute')
    .option('--tls-key <file>', 'its key')
    .option(
      '--secret-keys <file>',
      'keys that seal the secrets of webhooks in the database ($BANKSMAN_SECRET_KEYS holds them instead; an embedded database has its own)',
    )
    .option('--in-cluster <name>', 'it runs as a pod of this cluster, which its environments have as `cluster`')
    .option('--behind-tls', 'something in front of it speaks TLS: other addresses than 127.0.0.1 may be listened on')
    .addHelpText(
      'after',
      `
Serves releases, environments, gates, approvals, holds and the audit log over HTTP; /openapi.json describes it. The environments are
those of banksman.yaml as it is at the start. What is promoted is applied to their clusters: by the context that the environment names,
else the cluster of this machine by its name. Of several servers on one database one acts at a time. Logs go to standard error, one JSON object a line.

Examples:
  banksman server token --name ada@bank.example --role administrator
  banksman server
  banksman server --database postgresql://banksman@db/banksman --host 0.0.0.0 --tls-cert tls.crt --tls-key tls.key`,
    )
    .action((options: Options) => serve(options, context));
  addClusterCommands(command, context);
  command
    .command('new-key')
    .summary('make a key that seals secrets in the database')
    .description(
      'prints a line for the file of --secret-keys: an id, and a new key; the first line of that file seals, all of them open',
    )
    .action(() => context.terminal.print(newSealKey(new Date())));
  withDatabaseOption(command.command('token').summary('make a token'))
    .description('makes a token and prints it, this once; for the first administrator, while no server runs')
    .requiredOption('--name <name>', 'whose it is: ada@bank.example')
    .requiredOption('--role <role>', `one of ${roles.join(', ')}; may be given again`, role)
    .option('--service <label>', 'a service that the person is an engineer of; may be given again', label)
    .option('--days <number>', 'days that it is valid', days, 30)
    .action(async (options: DatabaseChoice & { name: string; role: Role[]; service?: string[]; days: number }) => {
      const now = Date.now();
      const { token } = await withDatabase(options, async (database) => {
        const tokens = await openTokens(database);
        const asked = { name: options.name, roles: options.role, services: options.service ?? [] };
        const actor = { who: options.name, source: 'command line' };
        return await tokens.create({ ...asked, expiresAt: now + options.days * 86_400_000 }, actor, now);
      });
      context.terminal.print(token);
    });
}

async function serve(options: Options, { signal }: CommandContext): Promise<void> {
  const { tlsCert, tlsKey, inCluster } = options;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new UsageFault('cli/wrong-use', '--tls-cert and --tls-key belong together', { next: 'give both' });
  }
  if (!options.behindTls && tlsCert === undefined && !/^(?:127\.|::1$|localhost$)/.test(options.host)) {
    throw new UsageFault('cli/wrong-use', `tokens would go in the clear to ${options.host}`, {
      next: 'give --tls-cert and --tls-key, put something that speaks TLS in front of it and say --behind-tls, or listen on 127.0.0.1',
    });
  }
  const { workspace } = await here();
  const keys = await secretKeys(options.secretKeys, databaseAddress(options));
  const core = await serverCore(workspace, inCluster);
  await withDatabase(
    options,
    async (database) => {
      const server = await startServer({
        ...core,
        database,
        host: options.host,
        port: options.port,
        log: process.stderr,
        secretKeys: keys,
        warnings: readTraceSettings(process.env).warnings,
        ...(tlsCert !== undefined && tlsKey !== undefined && { tls: { cert: tlsCert, key: tlsKey } }),
      });
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      await server.stop();
      core.clusters.close();
    },
    startPatience(signal),
  );
}

/** Started together with its database, the server may be there first. */
const startPatience = (signal: AbortSignal) => ({ patience: 60_000, signal });

function role(text: string, so: readonly Role[] = []): Role[] {
  const found = roles.find((each) => each === text);
  if (found === undefined)
    throw new UsageFault('cli/wrong-use', `there is no role ${text}`, { next: `choose one of ${roles.join(', ')}` });
  return [...so, found];
}

function label(text: string, so: readonly string[] = []): string[] {
  if (!/^\/\/\S*:\S+$/.test(text))
    throw new UsageFault('cli/wrong-use', `${text} is not a whole label`, { next: 'write //bank/ledger:ledger' });
  return [...so, text];
}

function port(text: string): number {
  if (/^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new UsageFault('cli/wrong-use', `--port takes a number up to 65535, not '${text}'`);
}

function days(text: string): number {
  if (/^[1-9][0-9]{0,2}$/.test(text) && Number(text) <= 366) return Number(text);
  throw new UsageFault('cli/wrong-use', `--days takes a number up to 366, not '${text}'`);
}
