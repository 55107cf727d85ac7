import { hostname } from 'node:os';
import { Fault } from '../fault/index.ts';
import { type Label, splitLabel } from '../graph/index.ts';
import { originOf } from '../release/building/index.ts';
import { type Api, type ApiContext, apiOf, type ServerChoice } from './api.ts';
import { UsageFault } from './usage.ts';

export interface Tested {
  readonly label: Label;
  readonly status: 'passed' | 'failed';
}

/** Tests of one call. */
const atOnce = 100;

interface CommitReleases {
  readonly releases: readonly { readonly id: string; readonly service: Label }[];
  readonly tests: readonly Label[];
}

/**
 * Prepares to report what tests find: a report is of exactly one commit, so files may not differ from it, neither before the tests run
 * nor after.
 *
 * @returns reports, and says of which services' releases
 * @throws UsageFault cli/wrong-use where files differ or there is no token; Fault of the server
 */
export async function testReporter(
  root: string,
  choice: ServerChoice,
  context: ApiContext,
): Promise<(tests: readonly Tested[]) => Promise<readonly Label[]>> {
  const { signal } = context;
  const call = apiOf(choice, context);
  const commit = await cleanCommit(root, signal);
  return async (tests) => {
    if ((await cleanCommit(root, signal)) !== commit) {
      throw new UsageFault('cli/wrong-use', 'another commit was checked out while the tests ran', {
        next: 'run them again',
      });
    }
    return await report(call, commit, tests);
  };
}

async function cleanCommit(root: string, signal: AbortSignal): Promise<string> {
  const { commit, dirty } = await originOf(root, signal);
  if (commit !== undefined && !dirty) return commit;
  const why = commit === undefined ? 'there is no commit' : 'files differ from the commit';
  throw new UsageFault('cli/wrong-use', `what is reported is of exactly one commit, and ${why}`, {
    next: 'commit first, or run the tests without --report',
  });
}

async function report(call: Api, commit: string, tests: readonly Tested[]): Promise<readonly Label[]> {
  const known = (await call('GET', `/v1/commits/${commit}/releases`)) as CommitReleases;
  if (known.releases.length === 0) {
    throw new Fault('cli/no-release', `the server knows no release of commit ${commit.slice(0, 12)}`, {
      next: 'make it and tell the server of it: banksman release',
    });
  }
  const asked = new Set(known.tests);
  const reported: Label[] = [];
  for (const { id, service } of known.releases) {
    const found = tests
      .filter(({ label }) => asked.has(label) || isOf(service, label))
      .map(({ label, status }) => ({ target: label, passed: status === 'passed' }));
    const path = `/v1/services/${encodeURIComponent(service)}/releases/${encodeURIComponent(id)}/tests`;
    for (let start = 0; start < found.length; start += atOnce) {
      await call('POST', path, { commit, where: hostname(), tests: found.slice(start, start + atOnce) });
    }
    if (found.length > 0) reported.push(service);
  }
  return reported;
}

/** A service's own tests are those in its package and below. */
function isOf(service: Label, test: Label): boolean {
  const own = splitLabel(service).package;
  const other = splitLabel(test).package;
  return own === '' || other === own || other.startsWith(`${own}/`);
}
