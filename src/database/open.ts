import { DatabaseFault } from './fault.ts';
import { openPglite } from './pglite.ts';
import { openPostgres } from './postgresql.ts';
import type { Database } from './types.ts';

/**
 * Opens a database by its address: `postgresql://host/name`, or the path of the folder of an embedded one.
 *
 * @throws DatabaseFault database/bad-address, database/lost, database/in-use
 */
export async function openDatabase(address: string): Promise<Database> {
  if (/^postgres(?:ql)?:\/\//.test(address)) return await openPostgres(address);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1];
  if (address !== '' && scheme === undefined) return await openPglite(address);
  throw new DatabaseFault(
    'database/bad-address',
    scheme === undefined
      ? 'the address of the database is empty'
      : `${scheme} is no kind of database that is known here`,
    { next: 'give postgresql://HOST/DATABASE, or the path of a folder' },
  );
}
