import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { createRegistryHandler, hashPassword, openBlobStore } from '../../src/image/index.ts';
import { findProgram } from '../support/go-programs.ts';

const [present, workflows] = [findProgram('conformance'), findProgram('conformance-workflows')];
const banksman = fileURLToPath(new URL('../../bin/banksman', import.meta.url));

async function folderForTest(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-conformance-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** `banksman registry serve` with one user, as people run it. @returns host and port */
async function serve(folder: string, challenge: 'basic' | 'token'): Promise<string> {
  const password = await hashPassword('conformance');
  await writeFile(
    join(folder, 'registry.yaml'),
    `users: { suite: { password: "${password}" } }
access: [{ repositories: "**", pull: [suite], push: [suite], delete: [suite] }]
challenge: ${challenge}
`,
  );
  const args = ['registry', 'serve', '--root', join(folder, 'root'), '--config', join(folder, 'registry.yaml')];
  const child = spawn(banksman, [...args, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (piece) => {
    errors += piece;
  });
  onTestFinished(async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
    expect(errors).toBe('');
  });
  const [line] = await once(child.stdout, 'data');
  const [, host] = /http {2}(\S+)/.exec(String(line)) ?? [];
  return host ?? '';
}

/** Runs the present suite. @returns the exit code, and names of what passed, failed and was left out */
async function runPresent(host: string, folder: string, environment: Record<string, string> = {}) {
  const run = await promisify(execFile)(present!, [], {
    env: {
      ...process.env,
      OCI_REGISTRY: host,
      OCI_TLS: 'disabled',
      OCI_VERSION: '1.1',
      OCI_RESULTS_DIR: join(folder, 'results'),
      // Beyond what the version asks for.
      OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
      OCI_API_BLOBS_DIGEST_HEADER: 'true',
      OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
      OCI_API_MANIFESTS_TAG_PARAM: 'true',
      ...environment,
    },
    cwd: folder,
    maxBuffer: 64 * 1024 * 1024,
  }).catch((error: { code: number }) => error);
  const { apis, data } = parse(await readFile(join(folder, 'results/results.yaml'), 'utf8')) as Record<
    'apis' | 'data',
    Record<string, string>
  >;
  const by = (wanted: string) =>
    [...Object.entries(apis), ...Object.entries(data)].filter(([, status]) => status === wanted).map(([name]) => name);
  const passed = by('Pass');
  const others = [...Object.entries(apis), ...Object.entries(data)].filter(([, status]) => status !== 'Pass');
  return { code: 'code' in run ? run.code : 0, passed, others: Object.fromEntries(others) };
}

test.skipIf(present === undefined)(
  'the present suite passes against banksman registry serve, with tokens',
  async () => {
    const folder = await folderForTest();
    const host = await serve(folder, 'token');
    const login = { OCI_USERNAME: 'suite', OCI_PASSWORD: 'conformance' };
    const { code, passed, others } = await runPresent(host, folder, login);
    // A client does not get at other repositories by a sum alone; sparse images are refused on purpose: what can be pulled can be run.
    expect(others).toEqual({ 'Blob anonymous mount': 'Skip', 'Sparse Manifests': 'Disabled' });
    expect(code).toBe(0);
    expect(passed.length).toBeGreaterThan(45);
  },
  60_000,
);

test.skipIf(present === undefined)(
  'and against the registry of the local cluster, which finds by itself what it has',
  async () => {
    const folder = await folderForTest();
    const store = await openBlobStore(join(folder, 'blobs'));
    const errors: unknown[] = [];
    const handler = createRegistryHandler(store, {
      root: join(folder, 'registry'),
      discover: true,
      onError: (error) => errors.push(error),
    });
    const server = createServer(handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { code, others } = await runPresent(`127.0.0.1:${(server.address() as AddressInfo).port}`, folder);
    expect(others).toEqual({ 'Sparse Manifests': 'Disabled' });
    expect(code).toBe(0);
    expect(errors).toEqual([]);
  },
  60_000,
);

test.skipIf(workflows === undefined)(
  'all four workflows pass: pull, push, content discovery, content management',
  async () => {
    const folder = await folderForTest();
    const host = await serve(folder, 'basic');
    const run = promisify(execFile)(workflows!, ['-ginkgo.no-color'], {
      env: {
        ...process.env,
        OCI_ROOT_URL: `http://${host}`,
        OCI_NAMESPACE: 'bank/ledger',
        OCI_CROSSMOUNT_NAMESPACE: 'bank/other',
        OCI_USERNAME: 'suite',
        OCI_PASSWORD: 'conformance',
        OCI_TEST_PULL: '1',
        OCI_TEST_PUSH: '1',
        OCI_TEST_CONTENT_DISCOVERY: '1',
        OCI_TEST_CONTENT_MANAGEMENT: '1',
        OCI_AUTOMATIC_CROSSMOUNT: '0',
        OCI_REPORT_DIR: folder,
      },
      cwd: folder,
      maxBuffer: 64 * 1024 * 1024,
    });
    const { stdout } = await run.catch((error: { stdout: string }) => error);
    const report = await readFile(join(folder, 'junit.xml'), 'utf8');
    const [, failures] = /<testsuite [^>]*failures="(\d+)"/.exec(report) ?? [];
    expect(failures, stdout).toBe('0');
    const cases = [...report.matchAll(/<testcase name="([^"]*)"[^>]*status="(\w+)"/g)];
    for (const workflow of ['Pull', 'Push', 'Content Discovery', 'Content Management'])
      expect(
        cases.filter(([, name, status]) => name?.includes(` ${workflow} `) && status === 'passed').length,
      ).toBeGreaterThanOrEqual(10);
    // Each of these is the other half of an alternative, whose first half ran.
    const skipped = cases
      .filter(([, , status]) => status === 'skipped')
      .map(([, name = '']) => name.replace(/^.* Tests /, ''));
    expect(skipped).toEqual([
      'Pull Setup Get tag name from environment',
      'Push Cross-Repository Blob Mount Cross-mounting of nonexistent blob should yield session id',
      'Push Cross-Repository Blob Mount Cross-mounting without from, and automatic content discovery enabled should return a 201',
      'Content Discovery Setup Populate registry with test tags (no push)',
    ]);
  },
  60_000,
);
