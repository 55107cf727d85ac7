import { Fault } from '../fault/index.ts';

/** What can go wrong with the audit log. */
export class AuditFault extends Fault<
  'audit/bad-key' | 'audit/bad-checkpoint' | 'audit/bad-entry' | 'audit/broken' | 'audit/no-log'
> {}
