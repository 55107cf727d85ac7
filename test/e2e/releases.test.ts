import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BankWorkspace,
  copyBank,
  eventually,
  execute,
  type Outcome,
  repository,
  serverParts,
  start,
} from './workspace.ts';

/**
 * The server in its cluster, brought up as script/up does, and the bank through it: dev, staging and prod are namespaces. One story: each
 * scene goes on where the one before ended.
 */
let bank: BankWorkspace;
let state: string;
let load: string;

const statements = '//bank/statements:statements';
const bankServices = ['//bank/gateway:gateway', '//bank/ledger:ledger', '//bank/postgres:postgres', statements];
const title = 'TITLE = "Statement of account"';

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'bm-'));
  bank = await copyBank(
    { BANKSMAN_STATE: state, BANKSMAN_CLUSTER: 'releases', BANKSMAN_SERVER: '', BANKSMAN_TOKEN: '' },
    serverParts,
  );
  // The bank's releases are Ada's.
  await bank.edit('bank/README.md', /$/, '\nWords.\n');
  await bank.commit('Words', 'Ada <ada@bank.example>');
  await bank.mustRun(['up']);
  await bank.mustRun(['server', 'prepare']);
  // Signed as script/up signs.
  await signedAs(['deploy', '--env', 'platform']);
  await bank.mustRun(['server', 'sign-in', '--name', 'grace@bank.example']);
  const built = await bank.mustRun(['build', '//bank/load', '--json']);
  load = (JSON.parse(built.stdout) as [{ outputs: { absolute: string }[] }])[0].outputs[0]!.absolute;
});

afterAll(async () => {
  await bank?.banksman(['down', '--purge']);
  await bank?.remove();
  await rm(state, { recursive: true, force: true });
});

/** `banksman ARGS` with the key of this machine, which script/up has it make for itself. */
async function signedAs(args: readonly string[]): Promise<Outcome> {
  const text = 'set -eu; . "$1/script/signing-key"; shift; banksman=$1; shift; exec "$banksman" "$@"';
  const program = join(repository, 'bin/banksman');
  const outcome = await execute('bash', ['-c', text, 'bash', repository, program, ...args], {
    cwd: bank.root,
    env: { ...process.env, CI: 'true', BANKSMAN_STATE: state, BANKSMAN_CLUSTER: 'releases', BANKSMAN_SIGNING_KEY: '' },
  });
  if (outcome.code !== 0) throw new Error(`banksman ${args.join(' ')} ended with ${outcome.code}\n${outcome.stderr}`);
  return outcome;
}

interface RolloutView {
  readonly id: string;
  readonly state: string;
  readonly kind: string;
  readonly release: { readonly id: string };
  readonly steps: readonly { readonly state: string; readonly at: string; readonly why?: string }[];
}

interface Why {
  readonly open: boolean;
  readonly answers: readonly { readonly gate: string; readonly holds: boolean; readonly reason?: string }[];
  readonly held: readonly { readonly id: string; readonly why: string }[];
}

async function history(service: string, environment: string): Promise<RolloutView[]> {
  const { stdout } = await bank.mustRun(['history', service, '--env', environment, '--json']);
  return (JSON.parse(stdout) as { rollouts: RolloutView[] }).rollouts;
}

async function live(service: string, environment: string): Promise<string> {
  const found = (await history(service, environment)).find((rollout) => rollout.state === 'healthy');
  if (found === undefined) throw new Error(`${service} was never healthy in ${environment}`);
  return found.release.id;
}

async function why(service: string, environment: string, ...more: string[]): Promise<Why> {
  return JSON.parse((await bank.mustRun(['why', service, '--env', environment, '--json', ...more])).stdout) as Why;
}

const shut = ({ answers }: Why) => answers.filter(({ holds }) => !holds).map(({ gate }) => gate);

async function gateway(environment: string): Promise<string> {
  const { stdout } = await bank.mustRun(['status', '--json']);
  const { cluster } = JSON.parse(stdout) as { cluster: { ports: { service: string; address: string }[] } };
  const port = cluster.ports.find(({ service }) => service === `${environment}/gateway`);
  if (port === undefined) throw new Error(`no port of ${environment}/gateway`);
  return `http://${port.address}`;
}

const key = { 'X-API-Key': 'dummy-dev-key', 'Content-Type': 'application/json' };

async function statementTitle(url: string): Promise<string | undefined> {
  const response = await fetch(`${url}/v1/accounts/alice/statement?format=json`, {
    headers: key,
    signal: AbortSignal.timeout(15_000),
  });
  return response.ok ? ((await response.json()) as { title: string }).title : undefined;
}

/** A release of the services at the commit, made known and asked for in dev. */
async function releaseToDev(...services: string[]): Promise<Outcome> {
  return await bank.banksman(['release', ...services, '--env', 'dev', '--promote']);
}

async function as(name: string, role: string): Promise<{ env: Record<string, string> }> {
  const { stdout } = await bank.mustRun(['server', 'sign-in', '--print', '--name', name, '--role', role]);
  return { env: { BANKSMAN_TOKEN: stdout.trim() } };
}

describe('the platform', () => {
  it.each(['//platform/banksman:image', '//bank/postgres:image'])(
    'rolls out %s signed, with its origin and its bill',
    async (label) => {
      const policy = join(state, 'signing/policy.yaml');
      const { stdout } = await bank.mustRun(['verify', label, '--env', 'platform', '--policy', policy, '--json']);
      const { passed, checks } = JSON.parse(stdout) as { passed: boolean; checks: { name: string; passed: boolean }[] };
      expect(passed).toBe(true);
      expect(checks.map(({ name }) => name)).toEqual(expect.arrayContaining(['signature', 'provenance', 'sbom']));
      expect((await stat(join(state, 'signing/machine.key'))).mode & 0o077).toBe(0);
    },
  );
});

describe('the bank through the server', () => {
  it('goes into dev, and a second time nothing is done', async () => {
    const first = await releaseToDev();
    expect(first.code, first.stderr).toBe(0);
    for (const service of bankServices) expect(first.stdout).toMatch(new RegExp(`✓ ${service} +healthy`));
    const second = await releaseToDev();
    expect(second.code, second.stderr).toBe(0);
    expect(second.stdout.match(/is there already/g)).toHaveLength(4);
    expect(await history(statements, 'dev')).toHaveLength(1);
  });

  it('goes on into staging by itself, once it has been healthy in dev for the time', async () => {
    for (const service of bankServices) {
      const release = await live(service, 'dev');
      await eventually(`${service} in staging`, async () => (await live(service, 'staging')) === release, 240);
      expect((await history(service, 'staging'))[0]?.kind).toBe('automatic');
    }
  });

  it('waits before prod for somebody else, who may not be who asked, nor its author', async () => {
    const release = await live(statements, 'staging');
    await bank.mustRun(['promote', statements, '--env', 'prod', '--release', release, '--why', 'the first']);
    await eventually('soak holds', async () => !shut(await why(statements, 'prod')).includes('soak'));
    expect(shut(await why(statements, 'prod'))).toEqual(['approvals']);
    const approve = (who: { env: Record<string, string> }) =>
      bank.banksman(['approve', statements, '--env', 'prod', '--release', release], who);
    await approve({ env: {} });
    await approve(await as('ada@bank.example', 'release-manager'));
    expect(shut(await why(statements, 'prod'))).toEqual(['approvals']);
    expect((await history(statements, 'prod'))[0]?.state).not.toBe('healthy');

    const bob = await as('bob@bank.example', 'release-manager');
    for (const service of bankServices) {
      const other = await live(service, 'staging');
      await bank.banksman(['approve', service, '--env', 'prod', '--release', other], bob);
    }
    await eventually('it is in prod', async () => (await history(statements, 'prod'))[0]?.state === 'healthy', 120);
  });

  it('goes into prod on a train: all that is healthy in staging and is not there, each after what it needs', async () => {
    const wanted = new Map(
      await Promise.all(bankServices.map(async (each) => [each, await live(each, 'staging')] as const)),
    );
    await eventually('all have been long enough in staging', async () => {
      const answers = await Promise.all(
        bankServices.map((each) => why(each, 'prod', '--release', wanted.get(each) ?? '')),
      );
      return answers.every((answer) => !shut(answer).includes('soak'));
    });
    const train = await bank.banksman(['train', '--env', 'prod', '--why', 'the first', '--wait', '--json']);
    expect(train.code, train.stderr).toBe(0);
    const { cars } = JSON.parse(train.stdout) as { cars: { service: string; after: string[]; state: string }[] };
    expect(cars.map(({ service, state }) => [service, state])).toEqual([
      ['//bank/postgres:postgres', 'arrived'],
      ['//bank/ledger:ledger', 'arrived'],
      ['//bank/gateway:gateway', 'arrived'],
    ]);
    const at = async (service: string, state: string) =>
      (await history(service, 'prod'))[0]?.steps.find((step) => step.state === state)?.at ?? '';
    for (const { service, after } of cars) {
      expect((await history(service, 'prod'))[0]).toMatchObject({
        state: 'healthy',
        release: { id: wanted.get(service) },
      });
      for (const needed of after) {
        expect((await at(service, 'applying')) >= (await at(needed, 'healthy')), `${service} after ${needed}`).toBe(
          true,
        );
      }
    }
  });
});

describe('the rights of the server in its cluster', () => {
  const can = async (verb: string, resource: string, namespace: string) => {
    const account = ['--as', 'system:serviceaccount:banksman:banksman'];
    const { stdout } = await bank.banksman(['kubectl', 'auth', 'can-i', verb, resource, '-n', namespace, ...account]);
    return stdout.trim();
  };

  it('suffice to see what somebody changed by hand, and who', async () => {
    await bank.mustRun([
      'kubectl',
      'patch',
      'service',
      'gateway',
      '-n',
      'prod',
      '--patch',
      '{"spec":{"type":"ClusterIP"}}',
    ]);
    const seen = await eventually('the edit is seen', async () => {
      const { stdout } = await bank.mustRun(['drift', '//bank/gateway', '--env', 'prod']);
      return stdout.includes('Service/gateway was changed') && stdout;
    });
    expect(seen).toMatch(/spec\.type {2}by kubectl/);
    await bank.mustRun([
      'kubectl',
      'patch',
      'service',
      'gateway',
      '-n',
      'prod',
      '--patch',
      '{"spec":{"type":"LoadBalancer"}}',
    ]);
    await eventually('it is as it was', async () => {
      const { stdout } = await bank.mustRun(['drift', '//bank/gateway', '--env', 'prod']);
      return !stdout.includes('was changed');
    });
  });

  it('are no more than it needs', async () => {
    const wanted: readonly (readonly [string, string, string, string])[] = [
      ['watch', 'deployments.apps', 'prod', 'yes'],
      ['patch', 'secrets', 'prod', 'yes'],
      ['delete', 'deployments.apps', 'prod', 'yes'],
      // The data is not the server's to lose.
      ['delete', 'persistentvolumeclaims', 'prod', 'no'],
      ['delete', 'namespaces', 'prod', 'no'],
      ['delete', 'customresourcedefinitions.apiextensions.k8s.io', 'prod', 'no'],
      // Nobody becomes more by way of the server.
      ['create', 'rolebindings.rbac.authorization.k8s.io', 'prod', 'no'],
      ['create', 'pods/exec', 'prod', 'no'],
      ['impersonate', 'serviceaccounts', 'prod', 'no'],
      // Where no environment is, and where it runs itself.
      ['get', 'secrets', 'kube-system', 'no'],
      ['list', 'deployments.apps', 'default', 'no'],
      ['get', 'secrets', 'banksman', 'no'],
      ['patch', 'deployments.apps', 'banksman', 'no'],
    ];
    const asked = wanted.map(async ([verb, resource, namespace]) => [
      verb,
      resource,
      namespace,
      await can(verb, resource, namespace),
    ]);
    expect(await Promise.all(asked)).toEqual(wanted);
  });
});

describe('environments', () => {
  it('are part of the server: a freeze of prod is a release of it, and what happened is known as before', async () => {
    const before = (await history(statements, 'prod')).length;
    const release = await live(statements, 'prod');
    const approvals = '      approvals: { count: 1, role: release-manager }\n';
    const freeze = '{ name: audit, starts: 2026-01-01T00:00, until: 2099-01-01T00:00, zone: Europe/London }';
    await bank.edit('banksman.yaml', approvals, `${approvals}      freezes:\n        - ${freeze}\n`);
    // And in dev, a rollout that can't become healthy is to end while somebody waits.
    await bank.edit('banksman.yaml', /dev: \{ (.*) \}/, 'dev: { $1, deadline: 60s, on_failure: return }');
    await bank.commit('Freeze prod');
    // Signed as script/up signs.
    await signedAs(['deploy', '--env', 'platform']);
    expect(await history(statements, 'prod')).toHaveLength(before);
    expect(shut(await why(statements, 'prod', '--release', release))).toEqual(['freezes']);
  });
});

describe('a release that can not become healthy', () => {
  it('returns by itself and holds, while transfers go on with none lost or doubled', async () => {
    const url = await gateway('dev');
    const good = await live('//bank/ledger:ledger', 'dev');
    const record = join(state, 'load.json');
    const flags = ['-url', url, '-key', 'dummy-dev-key'];
    const running = start(load, [...flags, '-workers', '4', '-duration', '9m', '-summary', record], bank.root);

    await bank.edit('bank/ledger/deployment.yaml', 'jdbc:postgresql://', 'jdbc:mysql://');
    await bank.commit('The ledger is given a database that it does not speak to');
    const { code, stderr } = await releaseToDev('//bank/ledger');
    expect(code).toBe(1);
    expect(stderr).toContain('error[release/rollout-failed]');
    await eventually('the good one is back', async () => {
      const [newest] = await history('//bank/ledger:ledger', 'dev');
      return newest?.kind === 'return' && newest.state === 'healthy' && newest.release.id === good;
    });

    // What is under way is still done.
    running.stop();
    const done = await running.done;
    expect(done.code, done.stderr + done.stdout).toBe(0);
    const verified = await execute(load, [...flags, '-verify', '-summary', record]);
    expect(verified.code, verified.stderr + verified.stdout).toBe(0);
    const { held } = await why('//bank/ledger:ledger', 'dev');
    expect(held).toHaveLength(1);
    await bank.edit('bank/ledger/deployment.yaml', 'jdbc:mysql://', 'jdbc:postgresql://');
    await bank.commit('Back');
  });
});

describe('a hold', () => {
  it('keeps out what would come by itself, until somebody lifts it', async () => {
    await bank.mustRun(['hold', statements, '--env', 'staging', '--why', 'looking']);
    await bank.edit('bank/statements/statement.py', title, 'TITLE = "Account statement"');
    await bank.commit('Another title');
    const { code, stderr } = await releaseToDev('//bank/statements');
    expect(code, stderr).toBe(0);
    const release = await live(statements, 'dev');
    const before = (await history(statements, 'staging')).length;
    const held = await eventually('the gates are open', async () => {
      const answer = await why(statements, 'staging', '--release', release);
      return shut(answer).length === 0 && answer.held;
    });
    expect(held.map((hold) => hold.why)).toEqual(['looking']);
    // The server looks every second.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await history(statements, 'staging')).toHaveLength(before);
    await bank.mustRun(['hold', statements, '--env', 'staging', '--lift', held[0]!.id, '--why', 'looked']);
    await eventually('it is in staging', async () => (await live(statements, 'staging')) === release, 120);
  });
});

describe('a rollback', () => {
  it('brings the old pods back, and holds', async () => {
    const url = await gateway('dev');
    await fetch(`${url}/v1/accounts/alice`, { method: 'PUT', headers: key, body: '{"currency":"EUR"}' });
    await eventually('the new title', async () => (await statementTitle(url)) === 'Account statement');

    const began = performance.now();
    const back = bank.banksman(['rollback', '//bank/statements', '--env', 'dev', '--why', 'the old title was better']);
    await eventually('the old title', async () => (await statementTitle(url)) === 'Statement of account');
    const seconds = (performance.now() - began) / 1000;
    const outcome = await back;
    expect(outcome.code, outcome.stderr).toBe(0);
    process.stderr.write(`rollback to old pods serving: ${seconds.toFixed(1)} s\n`);
    expect(seconds).toBeLessThan(60);
    expect((await why(statements, 'dev')).held.map((hold) => hold.why)).toHaveLength(1);
  });
});

describe('an emergency', () => {
  it('passes a freeze with a reason, and somebody else looks at it afterwards', async () => {
    const newer = (await history(statements, 'dev')).find(({ kind }) => kind === 'promotion')!.release.id;
    expect(shut(await why(statements, 'prod', '--release', newer))).toContain('freezes');
    const at = [statements, '--env', 'prod'];
    const reason = 'the title misleads';
    const passed = await bank.banksman(['promote', ...at, '--release', newer, '--emergency', reason, '--wait']);
    expect(passed.code, passed.stderr).toBe(0);
    expect(await live(statements, 'prod')).toBe(newer);
    expect((await bank.mustRun(['review-emergency', ...at])).stdout).toContain(reason);
    const own = await bank.banksman(['review-emergency', ...at, '--why', 'I looked']);
    expect(own.code).toBe(1);
    const bob = await as('bob@bank.example', 'release-manager');
    const reviewed = await bank.banksman(['review-emergency', ...at, '--why', 'it was needed'], bob);
    expect(reviewed.code, reviewed.stderr).toBe(0);
  });
});

describe('a removal', () => {
  it('takes a service out under the rights of the server, pods and all, and nothing brings it back', async () => {
    const at = [statements, '--env', 'staging'];
    const shown = await bank.mustRun(['remove', ...at, '--preview']);
    expect(shown.stdout).toContain('- Deployment/statements');
    const removed = await bank.banksman(['remove', ...at, '--why', 'nobody tests it there', '--yes', '--wait']);
    expect(removed.code, removed.stderr).toBe(0);
    expect((await history(statements, 'staging'))[0]).toMatchObject({ kind: 'removal', state: 'removed' });
    const left = await bank.mustRun(['kubectl', 'get', 'deployments,services,pods', '-n', 'staging', '-o', 'name']);
    expect(left.stdout).toContain('deployment.apps/ledger');
    expect(left.stdout).not.toContain('statements');
    expect((await bank.mustRun(['status', '--env', 'staging', '--json'])).stdout).toContain('"removed"');
  });
});

describe('the sign-in', () => {
  it('is readable to its owner alone, and no token is in a log', async () => {
    const path = join(state, 'clusters/releases/sign-in.json');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const signIn = await readFile(path, 'utf8');
    const { token } = JSON.parse(signIn) as { token: string };
    const auditor = await as('eve@bank.example', 'auditor');
    const { stdout: log } = await bank.mustRun([
      'kubectl',
      'logs',
      '-n',
      'banksman',
      '-l',
      'app.kubernetes.io/name=banksman',
      '--tail=-1',
    ]);
    expect(log).not.toContain(token);
    expect(log).not.toContain(auditor.env.BANKSMAN_TOKEN);
  });
});
