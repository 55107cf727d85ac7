import { type Fault, isFault } from '../fault/index.ts';

/** RFC 9457, "Problem Details for HTTP APIs". */
export interface Problem {
  /** `urn:banksman:release/unknown-release`: the code of the fault. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** What to do next. */
  readonly next?: string;
  readonly notes?: readonly string[];
}

const statuses: Readonly<Record<string, number>> = {
  'server/not-signed-in': 401,
  'server/not-allowed': 403,
  'server/unknown-environment': 404,
  'server/unknown-service': 404,
  'server/unknown-token': 404,
  'server/unknown-webhook': 404,
  'server/no-key': 409,
  'server/unreadable-secret': 409,
  'server/bad-request': 400,
  'server/unknown-release': 404,
  'server/unknown-train': 404,
  'release/train-known': 409,
  'release/rejected': 422,
  'release/bad-verification': 422,
  'release/cant-split': 422,
  'release/unknown-patch-set': 422,
  'release/busy': 409,
  'server/refused': 409,
  'release/unknown-release': 404,
  'release/bad-artifact': 422,
  'release/no-good-release': 409,
  'release/needs-yes': 409,
  'release/not-leader': 409,
  'release/other-commit': 409,
  'release/no-emergency': 404,
  'release/unknown-rollout': 404,
  'release/too-much-evidence': 409,
  'release/same-person': 409,
  'database/lost': 503,
  'server/too-many-streams': 503,
};

/** What a caller is told of an error. Of one that nobody expected it is told nothing but that: its words may hold anything. */
export function problemOf(error: unknown): Problem {
  if (isFault(error)) return ofFault(error);
  const { validation, statusCode, message } = error as {
    validation?: unknown;
    statusCode?: unknown;
    message?: unknown;
  };
  if (validation !== undefined || (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)) {
    const status = typeof statusCode === 'number' ? statusCode : 400;
    return { type: 'urn:banksman:server/bad-request', title: 'Bad request', status, detail: String(message) };
  }
  return {
    type: 'urn:banksman:internal',
    title: 'Internal error',
    status: 500,
    detail: 'this is a defect of Banksman; its log has the rest',
  };
}

/** What is wrong with a release's own files is told to who asks for it. */
function statusOfKind(code: string): number {
  if (code.startsWith('manifest/')) return 422;
  return code.startsWith('image/registry') ? 502 : 500;
}

function ofFault({ code, message, next, notes }: Fault): Problem {
  const status = statuses[code] ?? statusOfKind(code);
  const internal = status === 500;
  return {
    type: `urn:banksman:${code}`,
    title: (code.split('/')[1] ?? code).replaceAll('-', ' '),
    status,
    detail: internal ? 'something went wrong; the log of the server has the rest' : message,
    ...(next !== undefined && !internal && { next }),
    ...(notes.length > 0 && !internal && { notes }),
  };
}
