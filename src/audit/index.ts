export {
  type Checkpoint,
  newCheckpointKey,
  parseCheckpoint,
  readPrivateKey,
  readPublicKey,
} from './checkpoint.ts';
export type { AuditEntry, AuditEvent } from './entry.ts';
export { AuditFault } from './fault.ts';
export { audited, type EntryFilter, makeCheckpoint, migrateAudit, newestEntry, readEntries } from './log.ts';
export { grantsFor } from './migrations.ts';
export { type Finding, type Verification, verifyLog } from './verify.ts';
