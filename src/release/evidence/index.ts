export { commitEvidence } from './commit.ts';
export type { Evidence, EvidenceParts, EvidenceStatement } from './document.ts';
export { type EvidenceSources, gatherEvidence } from './gather.ts';
export { sealEvidence } from './seal.ts';
export { statementsBeside } from './statements.ts';
export { type EvidenceFinding, type EvidenceVerdict, verifyEvidence } from './verify.ts';
