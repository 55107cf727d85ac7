import { readEntries } from '../../audit/index.ts';
import { numberIn } from '../asked.ts';
import type { Call } from '../call.ts';

/** The audit log. */
export const auditCalls: readonly Call[] = [
  {
    method: 'GET',
    path: '/v1/audit',
    summary: 'Entries of the audit log, in their order, by pages',
    action: 'audit.read',
    gives: 'audit',
    query: ['after', 'subject', 'who', 'limit'],
    answer: async ({ database }, { query }) =>
      readEntries(database, {
        subject: query.subject,
        who: query.who,
        after: numberIn(query.after, 'after', 0),
        limit: Math.min(numberIn(query.limit, 'limit', 100), 1000),
      }),
  },
];
