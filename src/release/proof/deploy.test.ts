import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiServer, findEngine, startApiServer } from '../../../test/support/api-server.ts';
import { playKubelet } from '../../../test/support/kubelet.ts';
import { renderFault } from '../../fault/index.ts';
import { openWorkspace } from '../../graph/index.ts';
import { formatStatement } from '../../image/index.ts';
import { type Cluster, connect } from '../../kube/index.ts';
import { silent } from '../../progress/index.ts';
import {
  attachedBill,
  type ClusterAccess,
  createWorkspaceBuilder,
  deploy,
  environmentOf,
  findService,
  openProofSettings,
  publishProofs,
  pushImages,
  releaseHistory,
  renderService,
  reviewsInNotes,
  rollback,
  verifyReference,
} from '../index.ts';
import { builder, image, manifest, type OneService, service as one, oneService } from '../testing/one-service.ts';
import { sourceOf } from './source.ts';
import { statementsOf } from './statements.ts';

const engine = findEngine();

let own: OneService;
let folder: string;
let root: string;
let access: ClusterAccess;

const policy = (mode: string) => `mode: ${mode}
keys: { ci: ci.pub, review: review.pub }
signed_by: [ci]
provenance: { signed_by: [ci], builders: ["${builder}"], workspaces: [test] }
sbom: { signed_by: [ci] }
review: { signed_by: [review] }
`;

beforeAll(async () => {
  const environment = (name: string, gates: string) => `  ${name}: {cluster: local, namespace: bank${gates}}\n`;
  own = await oneService({
    files: {
      'banksman.yaml': `name: test\nenvironments:\n${environment('dev', '')}${environment('prod', ', gates: {provenance: {policy: policies/prod.yaml}}')}${environment('audit', ', gates: {provenance: {policy: policies/audit.yaml}}')}`,
      'policies/prod.yaml': policy('enforce'),
      'policies/audit.yaml': policy('audit'),
    },
    keys: { ci: 'policies/ci.pub', review: 'policies/review.pub' },
  });
  ({ folder, root } = own);
  access = { registry: own.registry };
});

afterAll(() => own?.stop());

const builderOf = async () => createWorkspaceBuilder(await openWorkspace(root), { progress: silent });
const { write, git, settings }: Pick<OneService, 'write' | 'git' | 'settings'> = {
  write: (path, text) => own.write(path, text),
  git: (...args) => own.git(...args),
  settings: () => own.settings(),
};

it('what opens a key is out of the environment once it is open, so that no program inherits it', async () => {
  const key = await readFile(join(folder, 'ci.key'), 'utf8');
  const env: Record<string, string | undefined> = {
    BANKSMAN_SIGNING_KEY: 'env://KEY',
    KEY: key,
    COSIGN_PASSWORD: '',
    PATH: '/bin',
  };
  expect(await openProofSettings({ env })).toMatchObject({ builder: 'https://banksman.local/builder/unnamed' });
  expect(Object.keys(env)).toEqual(['BANKSMAN_SIGNING_KEY', 'PATH']);
  expect(await openProofSettings({ env: {} })).toBeUndefined();
  const unnamed = openProofSettings({ key: 'x', env: { BANKSMAN_BUILDER: 'ci' } });
  await expect(unnamed).rejects.toMatchObject({ code: 'proof/bad-builder' });
});

describe('what a builder states of an image', () => {
  it('is the same of the same commit, and says what was edited', async () => {
    const state = async () => {
      const builder = await builderOf();
      const [built] = await builder.images([image]);
      const source = await sourceOf(root);
      return (await statementsOf({ builder, image: built!, source, settings: await settings() })).map((each) =>
        formatStatement(each).toString(),
      );
    };
    const first = await state();
    expect(await state()).toEqual(first);
    const [, provenance = '{}'] = first;
    expect(JSON.parse(provenance)).toMatchObject({
      _type: 'https://in-toto.io/Statement/v1',
      predicateType: 'https://slsa.dev/provenance/v1',
      subject: [{ name: 'one', digest: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } }],
      predicate: {
        buildDefinition: {
          buildType: 'https://banksman.local/build/image/v1',
          externalParameters: {
            workspace: 'test',
            label: '//one:image',
            source: 'git+https://git.example/bank',
            commit: git('rev-parse', 'HEAD'),
            edits: false,
          },
          resolvedDependencies: [
            {
              name: 'source',
              uri: 'git+https://git.example/bank',
              digest: { gitCommit: git('rev-parse', 'HEAD'), gitTree: git('rev-parse', 'HEAD^{tree}') },
            },
          ],
        },
        runDetails: { builder: { id: builder } },
      },
    });
    await write('two.txt', 'new');
    const [, edited = '{}'] = await state();
    expect(JSON.parse(edited).predicate.buildDefinition.externalParameters.edits).toBe(true);
    await rm(join(root, 'two.txt'));
  });
});

describe.skipIf(engine === undefined)('an environment with a policy (skipped without the engine)', () => {
  let api: ApiServer;
  let cluster: Cluster;
  let kubelet: { stop(): void };

  beforeAll(async () => {
    api = await startApiServer(engine as string);
    cluster = await connect({ kubeconfig: api.kubeconfig });
    kubelet = playKubelet(cluster, 'bank', () => 'ready');
    access = { ...access, kubeconfigPath: api.kubeconfig };
  }, 90_000);

  afterAll(async () => {
    kubelet?.stop();
    cluster?.close();
    await api?.stop();
  });

  async function deployTo(name: string, more: { sign?: boolean; breakGlass?: string } = {}) {
    const builder = await builderOf();
    const { sign = false, breakGlass } = more;
    const environment = environmentOf(builder.workspace, name);
    const proof = sign ? { settings: await settings(), reviews: reviewsInNotes(root) } : undefined;
    const [ended] = await deploy({
      builder,
      environment,
      cluster: access,
      progress: silent,
      deadline: 30,
      breakGlass,
      proof,
    });
    return ended!;
  }

  async function history() {
    const builder = await builderOf();
    const environment = environmentOf(builder.workspace, 'prod');
    return releaseHistory({ service: findService(builder.services(), 'one'), environment, cluster: access });
  }

  const refused = (work: Promise<unknown>) =>
    work.then(
      () => 'nothing was refused',
      (error: unknown) => renderFault(error),
    );

  it('takes nothing that nobody signed, and changes nothing', async () => {
    const fault = await refused(deployTo('prod'));
    expect(fault).toMatch(
      /error\[proof\/refused\].*registry.local\/one:.* does not fulfil policies\/prod.yaml: no signature/,
    );
    expect(fault).toMatch(/banksman.yaml:4/);
    expect(fault).toMatch(/nothing was changed in prod/);
    expect(fault).toMatch(/provenance: no provenance signed by the key ci: nothing was said of this image/);
    expect(fault).toMatch(/next: sign it where it is built/);
    expect((await history()).rollouts).toEqual([]);
  });

  it('takes nothing of a commit that nobody reviewed, nor with a reason that is none', async () => {
    expect(await refused(deployTo('prod', { sign: true }))).toMatch(
      /: no review of commit [0-9a-f]{12} signed by the key review/,
    );
    await own.review('review', 'ada@bank.example');
    expect(await refused(deployTo('prod', { sign: true }))).toMatch(/was approved by nobody but its author/);
    expect(await refused(deployTo('prod', { breakGlass: 'urgent' }))).toMatch(
      /needs a reason of at least 10 characters/,
    );
    expect((await history()).rollouts).toEqual([]);
  });

  it('lets through with a reason, which is kept', async () => {
    expect(await deployTo('prod', { breakGlass: 'payments fail, ABC-12' })).toMatchObject({ result: 'healthy' });
    const [rollout] = (await history()).rollouts;
    expect(rollout?.proof).toMatchObject({
      policy: 'policies/prod.yaml',
      policySum: expect.stringMatching(/^[0-9a-f]{64}$/),
      outcome: 'broken-glass',
      reason: 'payments fail, ABC-12',
      missing: [expect.stringMatching(/review: commit [0-9a-f]{12} was approved by nobody but its author/)],
    });
  });

  it('only tells where the policy audits, and remembers it', async () => {
    await write('one/deployment.yaml', manifest('      terminationGracePeriodSeconds: 5\n'));
    git('commit', '--quiet', '-am', 'second');
    expect(await deployTo('audit')).toMatchObject({ result: 'healthy' });
    const [rollout] = (await history()).rollouts;
    expect(rollout?.proof).toMatchObject({ outcome: 'audited', missing: expect.arrayContaining([expect.any(String)]) });
    expect(rollout?.proof?.reason).toBeUndefined();
  });

  it('takes what was signed, built there and reviewed, by its digest', async () => {
    await write('one/text.txt', 'third\n');
    git('commit', '--quiet', '-am', 'third');
    const commit = git('rev-parse', 'HEAD');
    await own.review('review', 'grace@bank.example');
    const ended = await deployTo('prod', { sign: true });
    expect(ended).toMatchObject({ result: 'healthy' });
    const { rollouts, releases } = await history();
    expect(rollouts[0]?.proof).toEqual({
      policy: 'policies/prod.yaml',
      policySum: expect.any(String),
      outcome: 'passed',
      commits: [commit],
      approvers: ['grace@bank.example'],
    });
    const release = releases.find(({ id }) => id === rollouts[0]?.release);
    expect(release?.manifests).toMatch(/image: "?registry.local\/one:[0-9a-f]{12}@sha256:[0-9a-f]{64}/);

    const builder = await builderOf();
    const environment = environmentOf(builder.workspace, 'prod');
    const { registry } = access;
    const text = await renderService(builder, one, { environment, registry });
    expect(text).toBe(release?.manifests);
    const [reference = ''] = /registry.local\/one:[0-9a-f]{12}/.exec(text) ?? [];
    const verdict = await verifyReference({ reference, policy: join(root, 'policies/prod.yaml'), registry });
    expect(verdict).toMatchObject({ passed: true, commit });
    expect(await attachedBill({ reference, policy: join(root, 'policies/prod.yaml'), registry })).toMatchObject({
      bomFormat: 'CycloneDX',
    });
    // Nothing new to say: nothing is sent again.
    const [built] = await builder.images([image]);
    const again = await publishProofs([{ image: built!, reference }], {
      builder,
      settings: await settings(),
      registry,
      reviews: reviewsInNotes(root),
      progress: silent,
    });
    expect(again[0]?.sent).toEqual([]);
  });

  it('does not render for it what does not fulfil it', async () => {
    await write('one/text.txt', 'edited\n');
    const builder = await builderOf();
    const environment = environmentOf(builder.workspace, 'prod');
    const { registry } = access;
    const [built] = await builder.images([image]);
    const reference = `registry.local/one:${built!.tag}`;
    expect(await refused(renderService(builder, one, { environment, registry }))).toMatch(/does not have|no signature/);
    await pushImages([{ layout: built!.layout, reference }], registry, { progress: silent });
    await publishProofs([{ image: built!, reference }], {
      builder,
      settings: await settings(),
      registry,
      progress: silent,
    });
    expect(await refused(renderService(builder, one, { environment, registry }))).toMatch(/files differed from commit/);
    await write('one/text.txt', 'third\n');
  });

  it('takes no image of others that its objects name', async () => {
    await write('one/deployment.yaml', manifest('        - {name: other, image: "127.0.0.1:1/other:1"}\n'));
    git('commit', '--quiet', '-am', 'fourth');
    await own.review('review', 'grace@bank.example');
    expect(await refused(deployTo('prod', { sign: true }))).toMatch(
      /127.0.0.1:1\/other:1 does not fulfil .*can't be reached/,
    );
  });

  it('takes no image by a tag alone, whoever signed it', async () => {
    const builder = await builderOf();
    const [built] = await builder.images([image]);
    const literal = (name: string) =>
      write('one/deployment.yaml', manifest(`        - {name: other, image: "${name}"}\n`));
    await literal(`registry.local/one:${built!.tag}`);
    git('commit', '--quiet', '-am', 'fifth');
    await own.review('review', 'grace@bank.example');
    expect(await refused(deployTo('prod', { sign: true }))).toMatch(
      /its tag could name another image tomorrow[\s\S]*next: name it by label, or as registry.local\/one:[0-9a-f]{12}@sha256:/,
    );
    await literal(`registry.local/one@${built!.digest}`);
    git('commit', '--quiet', '-am', 'sixth');
    await own.review('review', 'grace@bank.example');
    expect(await deployTo('prod', { sign: true })).toMatchObject({ result: 'healthy' });
  });

  it('goes back only to what fulfils it, or with a reason', async () => {
    const builder = await builderOf();
    const environment = environmentOf(builder.workspace, 'prod');
    const service = findService(builder.services(), 'one');
    const options = { service, environment, cluster: access, progress: silent, deadline: 30, workspaceRoot: root };
    const oldest = (await history()).rollouts.at(-1)!.release;
    expect(await refused(rollback({ ...options, to: oldest }))).toMatch(/approved by nobody but its author/);
    const back = await rollback({ ...options, to: oldest, breakGlass: 'the new one loses money' });
    expect(back).toMatchObject({ result: 'healthy' });
    expect((await history()).rollouts[0]?.proof).toMatchObject({
      outcome: 'broken-glass',
      reason: 'the new one loses money',
    });
  });

  it('is shut where its registry is away, or its policy can not be read', async () => {
    const builder = await builderOf();
    const environment = environmentOf(builder.workspace, 'prod');
    const registry = { ...access.registry!, socketPath: join(folder, 'absent.sock') };
    expect(await refused(renderService(builder, one, { environment, registry }))).toMatch(
      /proof\/refused[\s\S]*can't be reached/,
    );
    await write('policies/prod.yaml', 'keys: {}\n');
    expect(await refused(renderService(builder, one, { environment, registry }))).toMatch(/proof\/bad-policy/);
    await write('policies/prod.yaml', policy('enforce'));
  }, 60_000);
});
