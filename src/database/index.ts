export { DatabaseFault } from './fault.ts';
export { type Migration, migrate } from './migrate.ts';
export { openDatabase } from './open.ts';
export { openPglite } from './pglite.ts';
export { traced } from './traced.ts';
export type { Connection, Database, Row, Value } from './types.ts';
