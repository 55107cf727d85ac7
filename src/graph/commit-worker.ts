/** A thread of its own that evaluates one commit, see `prepare` in affected.ts. */
import { workerData } from 'node:worker_threads';
import { type CommitRequest, keepCommit } from './affected.ts';

await keepCommit(workerData as CommitRequest);
