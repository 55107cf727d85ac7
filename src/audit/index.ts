export {
  type Checkpoint,
  isSignedBy,
  newCheckpointKey,
  parseCheckpoint,
  readPrivateKey,
  readPublicKey,
} from './checkpoint.ts';
export { type AuditEntry, type AuditEvent, hashOf, readBody } from './entry.ts';
export { coveringCheckpoint, entriesBetween } from './excerpt.ts';
export { AuditFault } from './fault.ts';
export {
  type AuditLine,
  audited,
  auditedTogether,
  type EntryFilter,
  makeCheckpoint,
  migrateAudit,
  newestEntry,
  readEntries,
} from './log.ts';
export { grantsFor } from './migrations.ts';
export { type Finding, type Verification, verifyLog } from './verify.ts';
