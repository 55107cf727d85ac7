import { isFault } from '../../fault/index.ts';

/** What a later try may do without: a server that is away, busy or in need of new credentials; somebody who came between. */
const passing = new Set([
  'kube/unreachable',
  'kube/timed-out',
  'kube/throttled',
  'kube/server-error',
  'kube/bad-answer',
  'kube/changed',
  'kube/gone',
  'kube/unauthorized',
  'kube/untrusted',
  'kube/no-kubeconfig',
  'image/registry-unreachable',
  'image/registry-unauthorized',
  'image/bad-registry-answer',
  'image/registry-damaged',
  'database/lost',
  'database/refused',
  'release/busy',
  'local/not-up',
]);

/**
 * Whether an error may go away by itself. What is no fault comes from a connection or from a mistake of this program, and neither
 * says that the release is bad: it is tried again until the deadline.
 */
export function isPassing(error: unknown): boolean {
  if (!isFault(error)) return true;
  return (
    passing.has(error.code) || (error.cause !== undefined && isFault(error.cause) && passing.has(error.cause.code))
  );
}

/** What went wrong, in one line for the record. */
export function toldInOneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const place = isFault(error) && error.place !== undefined ? ` (${error.place.file}${lineOf(error.place.line)})` : '';
  const more = isFault(error) && error.others.length > 0 ? `; and ${error.others.length} more` : '';
  return `${text}${place}${more}`.replace(/\s+/g, ' ').slice(0, 2000);
}

function lineOf(line: number | undefined): string {
  return line === undefined ? '' : `:${line}`;
}
