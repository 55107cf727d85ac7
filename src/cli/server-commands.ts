import { join } from 'node:path';
import type { Command } from 'commander';
import { writeAtomically } from '../disk/index.ts';
import { Fault, isFault } from '../fault/index.ts';
import type { Environment, Workspace } from '../graph/index.ts';
import { kubectl, serverAccess, status } from '../local/index.ts';
import { ProcessFault, run } from '../process/index.ts';
import { ensureNamespace, environmentOf, openSession } from '../release/index.ts';
import { apiAt } from './api.ts';
import { type ClusterChoice, engineSource, localName, reachCluster, withClusterOptions } from './cluster.ts';
import type { CommandContext } from './context.ts';
import { grantServer } from './server-grants.ts';
import { readSignIn, type SignIn, serverPlace } from './server-place.ts';
import { makeServerSecrets, missingSecrets } from './server-secrets.ts';
import { UsageFault } from './usage.ts';
import { here } from './workspace.ts';

interface Options extends ClusterChoice {
  readonly env: string;
}

/** Days that a person's token of this machine is valid, and days before its end at which another is made. */
const validFor = 30;
const renewBefore = 7;
/** Milliseconds to wait for a command inside of a pod. */
const patience = 60_000;

/** How the server's image starts the command line: platform/banksman/BUILD. It has no shell. */
const inside = [
  '/usr/local/bin/node',
  '--disable-warning=ExperimentalWarning',
  '--disable-warning=DEP0123',
  '/opt/banksman/src/cli/main.ts',
];

/** What concerns a server that runs as a pod of a cluster on this machine. */
export function addClusterCommands(command: Command, context: CommandContext): void {
  const { terminal, signal } = context;
  withClusterOptions(
    command.command('prepare').summary('make what a server in the cluster needs and no repository may hold'),
  )
    .description(
      'makes the Secrets that platform/ mounts (a password of its database, a certificate, one for the registry), and gives it its role in the namespaces of the environments',
    )
    .option('--env <name>', 'the environment of banksman.yaml that the server runs in', 'platform')
    .option('--tls <folder>', 'on another cluster: ca.crt, tls.crt and tls.key of the server')
    .option('--registry <folder>', 'on another cluster: ca.crt, client.cert and client.key to read from its registry')
    .action(async (options: Options & { tls?: string; registry?: string }) => {
      const { environment, name, workspace } = await chosen(options);
      const access = name === undefined ? filesOf(options) : serverAccess(name);
      const session = await openSession(
        await reachCluster(options, environment, { pushes: false }),
        environment,
        signal,
      );
      try {
        await ensureNamespace(session, signal);
        const written = await makeServerSecrets(session.cluster, session.namespace, access, signal);
        const served = [...workspace.environments.values()].filter(
          (each) =>
            each.cluster === environment.cluster &&
            each.context === (name === undefined ? environment.context : undefined) &&
            each.name !== environment.name,
        );
        const namespaces = [...new Set(served.map(({ namespace }) => namespace))];
        const granted = await grantServer(session.cluster, session.namespace, namespaces, signal);
        if (written.length > 0) terminal.print(`Secrets written in ${session.namespace}: ${written.join(', ')}`);
        if (granted.length > 0) terminal.print(`rights given or taken in: ${granted.join(', ')}`);
        const missing = await missingSecrets(session.cluster, session.namespace, signal);
        if (missing.length > 0) {
          terminal.print(`still missing in ${session.namespace}: ${missing.join(', ')}; see docs/platform.md`);
        } else if (written.length + granted.length === 0) terminal.print('nothing is missing');
      } finally {
        session.close();
      }
    });
  withClusterOptions(command.command('sign-in').summary("get a token from the cluster's server"))
    .description(
      'makes a token inside of the server, as whoever administers the cluster may, and keeps it for the commands of this machine',
    )
    .option('--env <name>', 'the environment of banksman.yaml that the server runs in', 'platform')
    .requiredOption('--name <name>', 'whose it is: ada@bank.example')
    .option('--role <role...>', 'roles of the token', ['administrator', 'release-manager'])
    .option('--print', 'print the token, and do not keep it')
    .action(async (options: Options & { name: string; role: readonly string[]; print?: boolean }) => {
      const { environment, name } = await chosen(options);
      if (options.print) {
        terminal.print(await makeToken(environment, name, options, context));
        return;
      }
      if (name === undefined) {
        throw new UsageFault('cli/wrong-use', 'a sign-in is kept for a cluster of this machine alone', {
          next: 'give --print, and keep the token as $BANKSMAN_TOKEN beside $BANKSMAN_SERVER',
        });
      }
      const url = await addressOf(environment, name);
      const kept = await readSignIn(name);
      if (kept !== undefined && (await isGood(kept, url, name, signal))) {
        terminal.print(`signed in at ${url} already`);
        return;
      }
      const token = await makeToken(environment, name, options, context);
      const expiresAt = new Date(Date.now() + validFor * 86_400_000).toISOString();
      const signIn: SignIn = { url, token, expiresAt };
      await writeAtomically(serverAccess(name).signInPath, `${JSON.stringify(signIn, undefined, 2)}\n`, 0o600);
      terminal.print(`${terminal.paint.good('✓')} signed in at ${url} as ${options.name}`);
    });
}

/** @returns `name` of a cluster of this machine; undefined where a context is meant */
async function chosen(
  options: Options,
): Promise<{ environment: Environment; name: string | undefined; workspace: Workspace }> {
  const { workspace } = await here();
  const declared = environmentOf(workspace, options.env);
  const name = localName(options, declared);
  const context = options.context ?? declared.context;
  const environment = name === undefined && context !== undefined ? { ...declared, context } : declared;
  return { environment, name, workspace };
}

/** Files of certificates as cert-manager and containers-certs.d(5) name them. */
function filesOf({ tls, registry }: { readonly tls?: string; readonly registry?: string }) {
  const files = (folder: string, cert: string, key: string) => ({
    caPath: join(folder, 'ca.crt'),
    certPath: join(folder, cert),
    keyPath: join(folder, key),
  });
  return {
    ...(tls !== undefined && { tls: files(tls, 'tls.crt', 'tls.key') }),
    ...(registry !== undefined && { registry: files(registry, 'client.cert', 'client.key') }),
  };
}

/** The host's address of the server's Service. */
async function addressOf({ namespace }: Environment, name: string): Promise<string> {
  const { ports } = await status({ name });
  const port = ports.find(({ service }) => service === `${namespace}/banksman`);
  if (port !== undefined) return `https://${port.address}`;
  throw new Fault('cli/no-server', `the cluster ${name} has no Service ${namespace}/banksman`, {
    next: 'start the cluster and the server in it with script/up',
  });
}

/** A token that lasts for some days more, and that the server takes. */
async function isGood(kept: SignIn, url: string, cluster: string, signal: AbortSignal): Promise<boolean> {
  if (kept.url !== url || Date.parse(kept.expiresAt) - Date.now() < renewBefore * 86_400_000) return false;
  const { ca } = await serverPlace(undefined, cluster);
  try {
    await apiAt({ base: url, token: kept.token, ca }, signal)('GET', '/v1/environments');
    return true;
  } catch (error) {
    if (isFault(error) && error.code === 'server/not-signed-in') return false;
    throw error;
  }
}

async function makeToken(
  { namespace, context: kubeContext }: Environment,
  cluster: string | undefined,
  { name, role }: { readonly name: string; readonly role: readonly string[] },
  { progress, signal }: CommandContext,
): Promise<string> {
  const roles = role.flatMap((each) => ['--role', each]);
  const asked = ['server', 'token', '--name', name, '--days', String(validFor), ...roles];
  const words = ['exec', '--namespace', namespace, 'deployment/banksman', '--container', 'banksman', '--', ...inside];
  const { program, args, env } =
    cluster === undefined
      ? // By whatever signs the person in to that cluster.
        { program: 'kubectl', args: ['--context', kubeContext ?? '', ...words, ...asked], env: process.env }
      : await kubectl({ name: cluster, engineSource, progress, signal, args: [...words, ...asked] });
  const { stdout } = await run(program, args, { env, signal, timeout: patience }).catch((error: unknown) => {
    if (!(error instanceof ProcessFault)) throw error;
    throw new Fault('cli/no-server', `no token could be made in the server of ${namespace}`, {
      notes: error.notes,
      next: 'see whether it runs: banksman kubectl get pods -n '.concat(namespace),
    });
  });
  return stdout.toString('utf8').trim();
}
