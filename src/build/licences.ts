import type { Target, Workspace } from '../graph/index.ts';
import { BuildFault } from './fault.ts';

/**
 * Holds a target against what `[licences]` of `.plzconfig` accepts and rejects; any one of its licences will do.
 *
 * @throws BuildFault build/licence-refused
 */
export function checkLicences({ please }: Workspace, { label, licences = [], place }: Target): void {
  const { accept = [], reject = [] } = please?.licences ?? {};
  if (licences.length === 0 || (accept.length === 0 && reject.length === 0)) return;
  const isAmong = (list: readonly string[], licence: string) =>
    list.some((each) => each.toLowerCase() === licence.toLowerCase());
  const refused = licences.find((each) => isAmong(reject, each));
  if (refused === undefined && (accept.length === 0 || licences.some((each) => isAmong(accept, each)))) return;
  const what = refused === undefined ? `${licences.join(' or ')}, none of which this workspace accepts` : refused;
  const why = refused === undefined ? '' : ', which this workspace rejects';
  throw new BuildFault('build/licence-refused', `${label} is licensed under ${what}${why}`, {
    place,
    next: 'use something else, or let [licences] of .plzconfig accept it, if you may',
  });
}
