import type { Label } from '../../graph/index.ts';
import type { TestReport } from '../../release/index.ts';
import { actorOf, releaseIn } from '../asked.ts';
import type { Call } from '../call.ts';
import { ServerFault } from '../fault.ts';

const tests = '/v1/services/{service}/releases/{release}/tests';

/** What tests found on the sources of a release. */
export const testCalls: readonly Call[] = [
  {
    method: 'GET',
    path: tests,
    summary: 'Reports of tests on a release, the oldest first',
    action: 'placement.read',
    gives: 'testReports',
    async answer(context, request) {
      const { id } = await releaseIn(context, request, request.parameters.release ?? '');
      return (await context.store.testReports(id)).map(reportView);
    },
  },
  {
    method: 'POST',
    path: tests,
    summary: 'Report what tests found on exactly the commit of a release; gates look at the last report of each',
    action: 'test.report',
    takes: 'reportTests',
    gives: 'nothing',
    status: 201,
    async answer(context, request) {
      const { id } = await releaseIn(context, request, request.parameters.release ?? '');
      const { commit, where, tests: found } = request.body as unknown as Pick<TestReport, 'commit' | 'where' | 'tests'>;
      const report: TestReport = {
        release: id,
        commit,
        where,
        by: request.person.name,
        at: context.now(),
        tests: found.map(({ target, passed }) => ({ target, passed })),
      };
      await context.store.reportTests(report, actorOf(request));
      return {};
    },
  },
  {
    method: 'GET',
    path: '/v1/commits/{commit}/releases',
    summary: 'Releases that were made at a commit, and the tests that gates ask for',
    action: 'placement.read',
    gives: 'commitReleases',
    async answer({ store, environments }, { parameters }) {
      const { commit = '' } = parameters;
      if (!/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(commit)) {
        throw new ServerFault('server/bad-request', `${commit} is not the whole name of a commit`);
      }
      const found = await store.releasesAt(commit);
      const wanted = new Set<Label>();
      for (const { gates = [] } of environments.values()) {
        for (const gate of gates) if (gate.kind === 'tests') for (const target of gate.targets) wanted.add(target);
      }
      const releases = found.map(({ id, service, reference }) => ({ id, service, reference }));
      return { releases, tests: [...wanted].sort() };
    },
  },
];

function reportView({ at, ...report }: TestReport) {
  return { ...report, at: new Date(at).toISOString() };
}
