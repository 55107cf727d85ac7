import { httpRequest } from '../process/index.ts';
import type { Layout } from './layout.ts';
import type { SupervisorReport } from './supervisor.ts';

/** Asks a cluster's supervisor; undefined where there is none, or it doesn't answer. @param timeout milliseconds */
export function askSupervisor(layout: Layout, timeout = 3_000): Promise<SupervisorReport | undefined> {
  return new Promise((resolve) => {
    const call = httpRequest(
      { socketPath: layout.controlSocket, path: '/status', timeout, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
        });
        response.on('error', () => resolve(undefined));
        response.on('end', () => {
          try {
            // Written by our own process on a socket that root alone reaches.
            resolve(response.statusCode === 200 ? (JSON.parse(text) as SupervisorReport) : undefined);
          } catch {
            resolve(undefined);
          }
        });
      },
    );
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(undefined));
    call.end();
  });
}
