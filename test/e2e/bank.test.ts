import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ServiceDeployment, ServiceStatus } from '../../src/release/index.ts';
import {
  type BankWorkspace,
  banksman,
  copyBank,
  eventually,
  execute,
  makeWorkspace,
  repository,
  start,
} from './workspace.ts';

/** Scenes of one story on one cluster: each begins and ends with the whole bank healthy as the repository has it. */
let bank: BankWorkspace;
let state: string;
let gateway: string;

const key = { 'X-API-Key': 'dummy-dev-key', 'Content-Type': 'application/json' };
const statements = '//bank/statements:statements';

beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'bm-'));
  bank = await copyBank({ BANKSMAN_STATE: state, BANKSMAN_CLUSTER: 'bank' });
  await bank.mustRun(['up']);
  await bank.mustRun(['deploy', '--env', 'dev']);
  gateway = await gatewayAddress();
});

afterAll(async () => {
  await bank?.banksman(['down', '--purge']);
  await bank?.remove();
  await rm(state, { recursive: true, force: true });
});

interface Status {
  readonly cluster: {
    readonly state: string;
    readonly ports: { readonly service: string; readonly address: string }[];
  };
  readonly services: ServiceStatus[];
}

async function status(): Promise<Status> {
  return JSON.parse((await bank.mustRun(['status', '--json'])).stdout) as Status;
}

async function gatewayAddress(): Promise<string> {
  const { cluster } = await status();
  const port = cluster.ports.find(({ service }) => service === 'dev/gateway');
  if (port === undefined) throw new Error(`no port of dev/gateway: ${JSON.stringify(cluster.ports)}`);
  return `http://${port.address}`;
}

/** uid -> service of every pod that is not on its way out. */
async function podUids(): Promise<Map<string, string>> {
  const { services } = await status();
  return new Map(services.flatMap(({ service, pods }) => pods.map((pod) => [pod.uid, service] as const)));
}

async function deploy(...labels: string[]): Promise<{
  code: number;
  stderr: string;
  results: (Omit<ServiceDeployment, 'service' | 'fault'> & {
    service: string;
    error?: { code: string; message: string; notes?: string[] };
  })[];
}> {
  const outcome = await bank.banksman(['deploy', ...labels, '--env', 'dev', '--json']);
  return {
    code: outcome.code,
    stderr: outcome.stderr,
    results: outcome.stdout === '' ? [] : JSON.parse(outcome.stdout),
  };
}

async function call(
  path: string,
  options: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Response> {
  return await fetch(`${gateway}${path}`, {
    method: options.method ?? 'GET',
    headers: { ...key, ...options.headers },
    ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    signal: AbortSignal.timeout(15_000),
  });
}

async function json(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}

async function openAccount(id: string, allowOverdraft: boolean): Promise<void> {
  const response = await call(`/v1/accounts/${id}`, { method: 'PUT', body: { currency: 'EUR', allowOverdraft } });
  expect([200, 201]).toContain(response.status);
}

describe('a transfer through the gateway', () => {
  it('is booked once, however often it is sent', async () => {
    await openAccount('bank-1', true);
    await openAccount('alice', false);
    const transfer = {
      id: 'salary-1',
      debit: 'bank-1',
      credit: 'alice',
      amount: 250_000,
      currency: 'EUR',
      reference: 'salary',
    };
    for (const expected of [201, 200, 200]) {
      expect((await call('/v1/transfers', { method: 'POST', body: transfer })).status).toBe(expected);
    }
    expect(await json(await call('/v1/accounts/alice'))).toMatchObject({ balance: 250_000, currency: 'EUR' });
  });

  it('with the same id and another amount is refused', async () => {
    const other = { id: 'salary-1', debit: 'bank-1', credit: 'alice', amount: 1, currency: 'EUR' };
    expect((await call('/v1/transfers', { method: 'POST', body: other })).status).toBe(409);
  });

  it('over the balance is refused, and nothing is booked', async () => {
    const tooMuch = { id: 'too-much', debit: 'alice', credit: 'bank-1', amount: 250_001, currency: 'EUR' };
    const response = await call('/v1/transfers', { method: 'POST', body: tooMuch });
    expect(response.status).toBe(422);
    expect(await json(await call('/v1/accounts/alice'))).toMatchObject({ balance: 250_000 });
  });

  it('without a key is refused', async () => {
    expect((await call('/v1/accounts/alice', { headers: { 'X-API-Key': 'wrong' } })).status).toBe(401);
  });

  it('stands in the statement, as JSON and as CSV', async () => {
    const statement = await call('/v1/accounts/alice/statement?format=json');
    expect(await json(statement)).toMatchObject({ closingBalance: 250_000 });
    const csv = await (await call('/v1/accounts/alice/statement?format=csv')).text();
    expect(csv).toContain('salary-1');
  });
});

describe('deploy', () => {
  it('with nothing changed touches nothing', async () => {
    const before = await podUids();
    const { code, results } = await deploy();
    expect(code).toBe(0);
    expect(results.map(({ result }) => result)).toEqual(['unchanged', 'unchanged', 'unchanged', 'unchanged']);
    expect(await podUids()).toEqual(before);
  });

  it('of a one-line change rolls one Deployment and leaves every other pod as it was; rollback brings the old line back', async () => {
    const before = await podUids();
    await bank.edit('bank/statements/statement.py', 'TITLE = "Statement of account"', 'TITLE = "Account statement"');
    const { code, results } = await deploy();
    expect(code).toBe(0);
    expect(Object.fromEntries(results.map(({ service, result }) => [service, result]))).toEqual({
      '//bank/gateway:gateway': 'unchanged',
      '//bank/ledger:ledger': 'unchanged',
      '//bank/postgres:postgres': 'unchanged',
      [statements]: 'healthy',
    });
    expect(await json(await call('/v1/accounts/alice/statement?format=json'))).toMatchObject({
      title: 'Account statement',
    });
    await eventually('the old pod is gone', async () => (await podUids()).size === before.size);
    const after = await podUids();
    for (const [uid, service] of before) if (service !== statements) expect(after.get(uid)).toBe(service);
    const rolled = [...after].filter(([uid]) => !before.has(uid));
    expect(rolled.map(([, service]) => service)).toEqual([statements]);

    const back = await bank.banksman(['rollback', '//bank/statements', '--env', 'dev']);
    expect(back.code, back.stderr).toBe(0);
    expect(await json(await call('/v1/accounts/alice/statement?format=json'))).toMatchObject({
      title: 'Statement of account',
    });
    await bank.restore('bank/statements/statement.py');
    expect((await deploy()).results.map(({ result }) => result)).toEqual([
      'unchanged',
      'unchanged',
      'unchanged',
      'unchanged',
    ]);
  });
});

describe('a rollout that cannot become healthy ends as failed, with its reason, while the old version serves', () => {
  afterEach(async () => {
    await execute('git', ['checkout', '-q', '--', '.'], { cwd: bank.root });
    const { code, stderr } = await deploy();
    expect(code, stderr).toBe(0);
  });

  /** Asks for a statement again and again until told to stop; counts what was not answered well. */
  function keepAsking(): () => Promise<{ asked: number; failed: string[] }> {
    let on = true;
    const failed: string[] = [];
    let asked = 0;
    const loop = (async () => {
      while (on) {
        asked++;
        try {
          const response = await call('/v1/accounts/alice/statement?format=json');
          await response.arrayBuffer();
          if (response.status !== 200) failed.push(`${response.status}`);
        } catch (error) {
          failed.push(String(error));
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    return async () => {
      on = false;
      await loop;
      return { asked, failed };
    };
  }

  async function failingDeploy(): Promise<{ message: string }> {
    const stop = keepAsking();
    const began = Date.now();
    const { code, results, stderr } = await deploy('//bank/statements');
    expect((Date.now() - began) / 1000).toBeLessThan(150);
    const { asked, failed } = await stop();
    expect(code, stderr).toBe(1);
    expect(results).toHaveLength(1);
    expect(results[0]).toMatchObject({
      service: statements,
      result: 'failed',
      error: { code: 'release/rollout-failed' },
    });
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(10);
    const { error } = results[0]!;
    return { message: [error?.message, ...(error?.notes ?? [])].join('\n') };
  }

  it('a crash on start: with the last lines of its log', async () => {
    await bank.edit('bank/statements/main.py', /^/, 'raise SystemExit("the vault is locked")\n');
    expect((await failingDeploy()).message).toContain('the vault is locked');
  });

  it('a missing image: with the name of the image', async () => {
    await bank.edit(
      'bank/statements/deployment.yaml',
      '//bank/statements:image',
      'registry.local/bank/nowhere:0123456789ab',
    );
    await bank.edit('bank/statements/BUILD', '    containers = [":image"],\n', '');
    const { message } = await failingDeploy();
    expect(message).toContain('registry.local/bank/nowhere:0123456789ab');
    expect(message).toMatch(/not found|image/i);
  });

  it('a failing readiness probe: with its answer', async () => {
    await bank.edit('bank/statements/deployment.yaml', /path: \/readyz/, 'path: /no-such-page');
    const { message } = await failingDeploy();
    expect(message).toMatch(/probe/i);
    expect(message).toContain('404');
  });

  it('no room to schedule: with what is short', async () => {
    await bank.edit('bank/statements/deployment.yaml', /cpu: \w+/, 'cpu: "1000"');
    expect((await failingDeploy()).message).toMatch(/insufficient cpu/i);
  });
});

describe('a rolling update under load', () => {
  afterEach(async () => {
    await execute('git', ['checkout', '-q', '--', '.'], { cwd: bank.root });
  });

  it('fails no request, and loses or doubles no transfer', async () => {
    const built = await bank.mustRun(['build', '//bank/load', '--json']);
    const [{ outputs }] = JSON.parse(built.stdout) as [{ outputs: { absolute: string }[] }];
    const load = outputs[0]!.absolute;
    const record = join(state, 'load.json');
    const running = start(
      load,
      ['-url', gateway, '-key', 'dummy-dev-key', '-workers', '4', '-duration', '60s', '-summary', record],
      bank.root,
    );
    await bank.edit('bank/statements/statement.py', 'TITLE = "Statement of account"', 'TITLE = "Statement under load"');
    await bank.edit('bank/gateway/deployment.yaml', 'annotations:', 'annotations:\n        test/round: "1"');
    await bank.edit('bank/ledger/deployment.yaml', 'annotations:', 'annotations:\n        test/round: "1"');
    const { code, results, stderr } = await deploy();
    expect(code, stderr).toBe(0);
    expect(results.filter(({ result }) => result === 'healthy').map(({ service }) => service)).toEqual([
      '//bank/gateway:gateway',
      '//bank/ledger:ledger',
      statements,
    ]);
    const done = await running.done;
    expect(done.code, done.stderr + done.stdout).toBe(0);
    const verified = await execute(load, ['-url', gateway, '-key', 'dummy-dev-key', '-verify', '-summary', record]);
    expect(verified.code, verified.stderr + verified.stdout).toBe(0);
  });
});

describe('logs, status and kubectl', () => {
  it('print what the pods say', async () => {
    const { stdout } = await bank.mustRun(['logs', '//bank/ledger', '--tail', '5']);
    expect(stdout).toMatch(/^ledger-\S+\/ledger \{/m);
  });

  it('reach the cluster by kubectl and by a context of a kubeconfig', async () => {
    const { stdout } = await bank.mustRun(['kubectl', 'get', 'deployments', '-n', 'dev', '-o', 'name']);
    expect(stdout.split('\n').sort().filter(Boolean)).toEqual([
      'deployment.apps/gateway',
      'deployment.apps/ledger',
      'deployment.apps/statements',
    ]);
    const { cluster } = JSON.parse((await bank.mustRun(['status', '--json'])).stdout) as {
      cluster: { kubeconfig: string; context: string };
    };
    const other = await banksman(bank.root, ['status', '--json', '--context', cluster.context], {
      KUBECONFIG: cluster.kubeconfig,
      BANKSMAN_STATE: state,
    });
    expect(other.code, other.stderr).toBe(0);
    const { services } = JSON.parse(other.stdout) as Status;
    expect(services.map(({ health }) => health)).toEqual(['healthy', 'healthy', 'healthy', 'healthy']);
  });
});

describe('any other cluster, by a context of a kubeconfig', () => {
  it('takes services, shows them and goes back', async () => {
    const { cluster } = JSON.parse((await bank.mustRun(['status', '--json'])).stdout) as {
      cluster: { kubeconfig: string; context: string };
    };
    const config = (colour: string) =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: colour\ndata:\n  colour: ${colour}\n`;
    const made = await makeWorkspace({
      'banksman.yaml': 'name: other\nenvironments:\n  dev: { cluster: elsewhere, namespace: elsewhere }\n',
      'paint/BUILD': 'k8s_config(name = "paint", srcs = ["paint.yaml"], owner = "painters")\n',
      'paint/paint.yaml': config('red'),
    });
    // The state folder is empty: nothing but the kubeconfig leads to the cluster.
    const run = async (...args: string[]) => {
      const env = { KUBECONFIG: cluster.kubeconfig, BANKSMAN_STATE: join(made.root, 'no-state') };
      const outcome = await banksman(made.root, [...args, '--context', cluster.context], env);
      expect(outcome.code, outcome.stderr).toBe(0);
      return outcome.stdout;
    };
    const colour = async () =>
      (
        await bank.mustRun([
          'kubectl',
          'get',
          'configmap',
          'colour',
          '-n',
          'elsewhere',
          '-o',
          'jsonpath={.data.colour}',
        ])
      ).stdout;
    try {
      await run('deploy');
      expect(await colour()).toBe('red');
      await writeFile(join(made.root, 'paint/paint.yaml'), config('blue'));
      await run('deploy');
      expect(await colour()).toBe('blue');
      await run('rollback', '//paint');
      expect(await colour()).toBe('red');
      const { services } = JSON.parse(await run('status', '--json')) as Status;
      expect(services).toMatchObject([{ service: '//paint:paint', health: 'healthy' }]);
    } finally {
      await made.remove();
    }
  });
});

describe('images', () => {
  it('are the same bytes in another folder, for another user, at another time', async () => {
    const here = JSON.parse((await bank.mustRun(['image', 'ls', '--json'])).stdout) as unknown[];
    expect(here.length).toBeGreaterThanOrEqual(5);
    const other = await copyBank();
    const cache = await mkdtemp(join(tmpdir(), 'bm-cache-'));
    try {
      // 65534 is nobody: another user, another home, another cache, another time zone, another umask.
      await execute('chown', ['-R', '65534:65534', other.root, cache]);
      const outcome = await execute(
        'setpriv',
        [
          '--reuid=65534',
          '--regid=65534',
          '--clear-groups',
          'sh',
          '-c',
          `umask 077; exec ${join(repository, 'bin/banksman')} image ls --json`,
        ],
        {
          cwd: other.root,
          env: {
            ...process.env,
            CI: 'true',
            HOME: cache,
            XDG_CACHE_HOME: cache,
            XDG_STATE_HOME: cache,
            TZ: 'Asia/Tokyo',
            LC_ALL: 'C',
          },
        },
      );
      expect(outcome.code, outcome.stderr).toBe(0);
      expect(JSON.parse(outcome.stdout)).toEqual(here);
    } finally {
      await other.remove();
      await rm(cache, { recursive: true, force: true });
    }
  });
});
