export type { Run } from './job.ts';
export { type Marked, splitVerification, verifyAnnotation } from './marked.ts';
export { removeVerification, tryVerification, type Verified, type VerifyRequest, verifyRelease } from './run.ts';
