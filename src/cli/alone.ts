import { randomBytes, timingSafeEqual } from 'node:crypto';
import { whoAmI } from '../release/index.ts';
import { type Person, startServer } from '../server/index.ts';
import type { CommandContext } from './context.ts';
import { databaseAddress, withDatabase } from './database.ts';
import { secretKeys } from './secret-keys.ts';
import { serverCore } from './server-core.ts';
import type { ServerPlace } from './server-place.ts';
import { count } from './views/count.ts';
import { here } from './workspace.ts';

/** What is named instead of a server where there is none. */
export const alone = 'alone';

/** Milliseconds that its lease lasts after a kill: nobody else has the database open, so nobody has to wait for long. */
const leaseTime = 3_000;

/**
 * Runs the server's core within this command, on the database of this machine (`banksman server` has the same): gates, executor and record
 * are those of a server, and whoever owns the database may do what its administrator and release manager may. At the command's end it
 * waits until nothing is under way; what waits for a gate goes on with the next command.
 */
export async function startAlone(context: Pick<CommandContext, 'signal' | 'progress' | 'atEnd'>): Promise<ServerPlace> {
  const { signal, progress, atEnd } = context;
  const { workspace } = await here();
  const core = await serverCore(workspace);
  const me: Person = { name: whoAmI(), roles: ['administrator', 'release-manager'], services: [] };
  const token = randomBytes(32).toString('base64url');
  return await new Promise<ServerPlace>((resolve, reject) => {
    const open = withDatabase({}, async (database) => {
      const server = await startServer({
        ...core,
        database,
        host: '127.0.0.1',
        port: 0,
        leaseTime,
        secretKeys: await secretKeys(undefined, databaseAddress({})),
        signIns: [{ find: async (given) => (isSame(given, token) ? me : undefined) }],
      });
      try {
        const place = { base: server.url, token };
        await new Promise<void>((end) => {
          atEnd(async () => {
            try {
              const waiting = await server.atRest(signal);
              if (waiting > 0)
                progress.say(`${count(waiting, 'rollout')} waiting for a gate: banksman rollouts --server ${alone}`);
            } finally {
              end();
              await open;
            }
          });
          resolve(place);
        });
      } finally {
        await server.stop();
      }
    }).finally(() => core.clusters?.close());
    open.catch(reject);
  });
}

function isSame(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
