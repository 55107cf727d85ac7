import { inSpan, toldOf, tracePlace } from '../trace/index.ts';
import type { Connection, Database, Row, Value } from './types.ts';

/**
 * The same database, each of whose transactions is a span of what it is done for. What loops ask by themselves every second belongs to
 * nothing, and is no span. Statements hold no values, so that they may be shown.
 */
export function traced(
  database: Database,
  onTransaction: (seconds: number, result: string) => void = () => {},
): Database {
  const system = { 'db.system.name': 'postgresql' };
  return {
    ...database,
    query<Result extends object = Row>(statement: string, values?: readonly Value[]) {
      if (tracePlace() === undefined) return database.query<Result>(statement, values);
      const attributes = { ...system, 'db.query.text': statement.replace(/\s+/g, ' ').trim() };
      return inSpan('database query', { kind: 'client', attributes }, () => database.query<Result>(statement, values));
    },
    transaction(body, lock) {
      const began = performance.now();
      const measure = (result: string) => onTransaction((performance.now() - began) / 1000, result);
      const doing = transaction(body, lock);
      doing.then(
        () => measure('ok'),
        (error: unknown) => measure(toldOf(error)[0]),
      );
      return doing;
    },
  };
  function transaction<Result>(body: (connection: Connection) => Promise<Result>, lock?: string): Promise<Result> {
    if (tracePlace() === undefined) return database.transaction(body, lock);
    const attributes = { ...system, ...(lock !== undefined && { 'banksman.lock': lock }) };
    return inSpan('database transaction', { kind: 'client', attributes }, async (span) => {
      let tries = 0;
      try {
        return await database.transaction((connection) => {
          tries++;
          return body(connection);
        }, lock);
      } finally {
        // Begun again where another transaction came between.
        if (tries > 1) span?.set({ 'banksman.tries': tries });
      }
    });
  }
}
