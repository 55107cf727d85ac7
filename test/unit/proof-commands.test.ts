import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { createRegistryHandler, openBlobStore } from '../../src/image/index.ts';
import { banksman, makeWorkspace } from '../e2e/workspace.ts';

const made: { remove(): Promise<void> }[] = [];
afterEach(async () => {
  for (const { remove } of made.splice(0)) await remove();
});

async function workspace(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const created = await makeWorkspace({ 'banksman.yaml': 'name: x\n', ...files });
  made.push(created);
  return created.root;
}

const password = 'a password that must not be seen';
const secret = { BANKSMAN_KEY_PASSWORD: password };

describe('banksman keys generate', () => {
  it('makes a pair whose private half nobody else can read, and replaces none', async () => {
    const root = await workspace();
    const outcome = await banksman(root, ['keys', 'generate', '--out', 'ci'], secret);
    expect(outcome).toMatchObject({ code: 0 });
    expect((await stat(join(root, 'ci.key'))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(root, 'ci.key'), 'utf8')).toMatch(/^-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----/);
    expect(await readFile(join(root, 'ci.pub'), 'utf8')).toMatch(/^-----BEGIN PUBLIC KEY-----/);
    const again = await banksman(root, ['keys', 'generate', '--out', 'ci'], secret);
    expect(again).toMatchObject({ code: 2 });
    expect(again.stderr).toMatch(/ci.key is there already/);
    for (const { stdout, stderr } of [outcome, again]) expect(stdout + stderr).not.toContain(password);
  });

  it('makes none without a password', async () => {
    const outcome = await banksman(await workspace(), ['keys', 'generate']);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/error\[proof\/wrong-password\][\s\S]*BANKSMAN_KEY_PASSWORD/);
  });
});

describe('banksman verify', () => {
  it('wants a policy, and reads it first', async () => {
    const root = await workspace({ 'p.yaml': 'keys: {}\nsinged_by: [ci]\n' });
    expect(await banksman(root, ['verify', '127.0.0.1:1/a:1'])).toMatchObject({ code: 2 });
    const outcome = await banksman(root, ['verify', '127.0.0.1:1/a:1', '--policy', 'p.yaml']);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(/error\[proof\/bad-policy\][\s\S]*p.yaml:2:1[\s\S]*did you mean signed_by/);
  });

  it('says no where the registry is away', async () => {
    const root = await workspace({ 'p.yaml': 'keys: { ci: ci.pub }\nsigned_by: [ci]\n' });
    await banksman(root, ['keys', 'generate', '--out', 'ci'], secret);
    const outcome = await banksman(root, ['verify', '127.0.0.1:1/a:1', '--policy', 'p.yaml']);
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toMatch(/✗ found: the registry 127.0.0.1:1 can't be reached/);
    expect(outcome.stdout).toMatch(/it does not fulfil p.yaml/);
    const json = await banksman(root, ['verify', '127.0.0.1:1/a:1', '--policy', 'p.yaml', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ passed: false, checks: [{ name: 'found', passed: false }] });
  });
});

describe('banksman review sign', () => {
  it('keeps the statement in the notes of the commit, as often as one is made', async () => {
    const root = await workspace();
    const git = (...args: string[]) => execFileSync('git', args, { cwd: root, stdio: 'pipe' }).toString();
    git('init', '--quiet');
    git('config', 'user.name', 'Ada');
    git('config', 'user.email', 'ada@bank.example');
    git('add', '-A');
    git('commit', '--quiet', '-m', 'first');
    await banksman(root, ['keys', 'generate', '--out', 'review'], secret);
    for (const name of ['grace@bank.example', 'linus@bank.example']) {
      const args = ['review', 'sign', 'HEAD', '--approved-by', name, '--key', 'review.key'];
      expect(await banksman(root, args, secret)).toMatchObject({ code: 0 });
    }
    const lines = git('notes', '--ref=refs/notes/banksman/reviews', 'show', 'HEAD').split('\n').filter(Boolean);
    const statements = lines.map((line) =>
      JSON.parse(Buffer.from(JSON.parse(line).dsseEnvelope.payload, 'base64').toString()),
    );
    expect(statements).toMatchObject([
      { predicate: { author: 'ada@bank.example', approvers: ['grace@bank.example'] } },
      {
        predicate: { approvers: ['linus@bank.example'] },
        subject: [{ digest: { gitCommit: git('rev-parse', 'HEAD').trim() } }],
      },
    ]);
    const none = await banksman(
      root,
      ['review', 'sign', 'nothing', '--approved-by', 'x', '--key', 'review.key'],
      secret,
    );
    expect(none).toMatchObject({ code: 2 });
    expect(none.stderr).toMatch(/nothing is no commit of this repository/);
  });
});

describe('what a command line can do wrong with keys', () => {
  it.each([
    [
      'a key in place of its name',
      ['image', 'sign', '127.0.0.1:1/a:1', '--key', '-----BEGIN PRIVATE KEY----- MIGHAg'],
      /a key stands where/,
    ],
    ['no key', ['image', 'sign', '127.0.0.1:1/a:1'], /there is no key to sign with/],
    [
      'a file that is absent',
      ['image', 'sign', '127.0.0.1:1/a:1', '--key', 'absent.key'],
      /absent.key can't be read: ENOENT/,
    ],
  ])('%s', async (_, args, expected) => {
    const outcome = await banksman(await workspace(), args, secret);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(expected);
    expect(outcome.stdout + outcome.stderr).not.toMatch(/MIGHAg/);
  });
});

describe('from a key to a verdict, by the command line alone', () => {
  it('signs an image in a registry, verifies it, and refuses it with another key', async () => {
    const store = await openBlobStore(join(await workspace(), 'blobs'));
    const registryFolder = join(await workspace(), 'registry');
    const server = createServer(createRegistryHandler(store, { root: registryFolder }));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const builder = 'https://ci.example/builder';
    const policy = `keys: { ci: ci.pub }
signed_by: [ci]
provenance: { signed_by: [ci], builders: ["${builder}"], sources: ["git+https://git.example/bank"], reproducible: true }
sbom: { signed_by: [ci] }
`;
    const root = await workspace({
      'banksman.yaml': `name: x\nregistry: ${host}\n`,
      BUILD: 'docker_image(name = "image", files = {"/a": "a.txt"}, repo = "bank/a")\n',
      'a.txt': 'a',
      'policy.yaml': policy,
      '.gitignore': '*.key\n*.pub\nbanksman-out\ncache\n',
    });
    const git = (...args: string[]) => execFileSync('git', args, { cwd: root, stdio: 'pipe' });
    git('init', '--quiet');
    git('remote', 'add', 'origin', 'https://ci:token@git.example/bank.git');
    git('add', '-A');
    git('-c', 'user.name=a', '-c', 'user.email=a@b.example', 'commit', '--quiet', '-m', 'first');
    const env = {
      ...secret,
      BANKSMAN_CACHE: join(root, 'cache'),
      BANKSMAN_BUILDER: builder,
      BANKSMAN_SIGNING_KEY: 'ci.key',
    };
    await banksman(root, ['keys', 'generate', '--out', 'ci'], secret);
    const attested = await banksman(root, ['image', 'attest', '//:image', '--json'], env);
    expect(attested, attested.stderr).toMatchObject({ code: 0 });
    const { reference, sent } = JSON.parse(attested.stdout) as { reference: string; sent: string[] };
    expect(sent).toHaveLength(3);
    const verified = await banksman(root, ['verify', reference, '--policy', 'policy.yaml']);
    expect(verified, verified.stdout).toMatchObject({ code: 0 });
    expect(verified.stdout).toMatch(
      /✓ provenance: built by https:\/\/ci.example\/builder of commit [0-9a-f]{12}, says ci/,
    );
    const bill = await banksman(root, ['image', 'sbom', reference, '--policy', 'policy.yaml']);
    expect(JSON.parse(bill.stdout)).toMatchObject({
      bomFormat: 'CycloneDX',
      metadata: { component: { name: 'bank/a' } },
    });
    for (const { stdout, stderr } of [attested, verified, bill])
      expect(stdout + stderr).not.toMatch(/token|a password/);

    await writeFile(join(root, 'other.yaml'), policy.replace('ci.pub', 'other.pub'));
    await banksman(root, ['keys', 'generate', '--out', 'other'], secret);
    const other = await banksman(root, ['verify', '//:image', '--policy', 'other.yaml'], env);
    expect(other.code).toBe(1);
    expect(other.stdout).toMatch(/✗ signature: no signature of the key ci among 3 statements/);
    // A file that git does not know is an edit, of which whoever signs hears before a policy refuses the image.
    expect(attested.stderr).not.toContain('files differed');
    const edited = await banksman(root, ['image', 'attest', '//:image'], env);
    expect(edited.stderr).toContain('files differed from the commit (other.yaml)');
  });
});
