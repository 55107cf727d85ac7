import { BuildFault } from './fault.ts';

/** Bytes. */
const usual = 20 * 1024 ** 3;

/**
 * Bytes that the cache of this machine may take: `BANKSMAN_CACHE_LIMIT`, as `50GiB` or `800MiB`.
 *
 * @throws BuildFault build/bad-cache-limit
 */
export function cacheLimitOf(env: Readonly<Record<string, string | undefined>>): number {
  const text = env.BANKSMAN_CACHE_LIMIT?.trim();
  if (text === undefined || text === '') return usual;
  const [, number, unit] = /^([1-9][0-9]{0,5})\s?(MiB|GiB|TiB)$/.exec(text) ?? [];
  if (number === undefined) {
    throw new BuildFault('build/bad-cache-limit', `BANKSMAN_CACHE_LIMIT: ${JSON.stringify(text)} is no size`, {
      next: 'write it as 50GiB, or leave it out for 20GiB',
    });
  }
  return Number(number) * 1024 ** { MiB: 2, GiB: 3, TiB: 4 }[unit as 'MiB' | 'GiB' | 'TiB'];
}
