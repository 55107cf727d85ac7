import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../kube/index.ts';
import { checkManifests, type ManifestObject } from '../../manifest/index.ts';
import { requireSplittable, stageDocuments } from './index.ts';

const deployment = (more = '', name = 'ledger') => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
${more}  selector: { matchLabels: { app: ledger } }
  template:
    metadata: { labels: { app: ledger } }
    spec: { containers: [{ name: main, image: a:2 }] }
`;
const other = (kind: string, apiVersion = 'v1', name = 'x') =>
  `---\napiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: ${name} }\n`;

function documentsOf(source: string) {
  return checkManifests([{ path: 'bank/ledger/service.yaml', source }], { package: 'bank/ledger', containers: [] })
    .documents;
}
const serving = (replicas: number) => (object: ManifestObject) =>
  object.kind === 'Deployment' ? ({ ...object, spec: { replicas } } as unknown as KubeObject) : undefined;

describe('a stage', () => {
  it('runs the new release beside what serves, with pods that Services find and its own Deployment tells apart', () => {
    const [canary, ...rest] = stageDocuments(documentsOf(deployment('  replicas: 4\n')), 25, serving(4));
    expect(rest).toEqual([]);
    expect(canary?.object).toMatchObject({
      metadata: { name: 'ledger-canary' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'ledger', 'banksman.local/track': 'canary' } },
        template: { metadata: { labels: { app: 'ledger', 'banksman.local/track': 'canary' } } },
      },
    });
  });

  it.each([
    [10, 1, 1],
    [10, 11, 2],
    [50, 3, 2],
    [99, 3, 3],
    [50, 0, 0],
  ])('takes the share of the replicas, rounded up: %i percent of %i are %i', (share, replicas, wanted) => {
    const said = stageDocuments(documentsOf(deployment(`  replicas: ${replicas}\n`)), share, serving(7));
    expect(said[0]?.object.spec).toMatchObject({ replicas: wanted });
    // Where the release says no number, an autoscaler may: what runs counts.
    const scaled = stageDocuments(documentsOf(deployment()), share, serving(replicas));
    expect(scaled[0]?.object.spec).toMatchObject({ replicas: wanted });
  });

  it('brings what new pods need where it is not there, and leaves what is', () => {
    const source = deployment() + other('ConfigMap', 'v1', 'new') + other('ConfigMap', 'v1', 'old') + other('Service');
    const live = (object: ManifestObject) =>
      object.metadata.name === 'old' ? (object as unknown as KubeObject) : serving(2)(object);
    const names = stageDocuments(documentsOf(source), 10, live).map(({ object }) => object.metadata.name);
    expect(names).toEqual(['new', 'ledger-canary']);
  });

  it.each([
    [deployment() + other('StatefulSet', 'apps/v1'), /StatefulSet can't run two releases side by side/, 10],
    [deployment('  strategy: { type: Recreate }\n'), /says that two releases of it never run side by side/, 5],
    [other('ConfigMap'), /has no Deployment/, undefined],
  ])('is refused where the release can not be split, at its line', (source, message, line) => {
    const require = () => requireSplittable(documentsOf(source), [], []);
    expect(require).toThrow(message);
    const place = line === undefined ? undefined : expect.objectContaining({ line });
    expect(require).toThrow(expect.objectContaining({ code: 'release/cant-split', place }));
  });

  it('is refused where nothing serves, and where its job is not there', () => {
    expect(() => stageDocuments(documentsOf(deployment()), 10, () => undefined)).toThrow(/serves here yet/);
    const stages = [{ share: 10, lasts: 1, check: { kind: 'job', name: 'smoke' } as const }];
    expect(() => requireSplittable(documentsOf(deployment()), [], stages)).toThrow(/job smoke, which the release/);
  });
});
