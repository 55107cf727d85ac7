import { openDatabase } from '../../database/index.ts';
import { startDeliveries } from '../webhooks/deliver.ts';
import { testKeys } from './server.ts';

/** A process that delivers, to be killed: `node deliver-process.ts URL`. */
const database = await openDatabase(process.argv[2] ?? '');
startDeliveries({
  database,
  keys: testKeys,
  holder: `process-${process.pid}`,
  now: Date.now,
  leaseTime: 1000,
  onError: console.error,
});
