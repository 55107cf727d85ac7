import { setTimeout as sleep } from 'node:timers/promises';
import { mayTryAgain } from './fault.ts';

/** Times that a transaction is begun before its failure is told. */
const tries = 10;

/** Begins again what another transaction came between, a little later each time. */
export async function untilAlone<Result>(body: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await body();
    } catch (error) {
      if (!mayTryAgain(error) || attempt === tries) throw error;
      await sleep(Math.random() * 20 * attempt);
    }
  }
}
