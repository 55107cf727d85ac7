import { parentPort, workerData } from 'node:worker_threads';
import { look, type StandingFiles } from './standing-record.ts';

parentPort?.postMessage(look(workerData as StandingFiles));
