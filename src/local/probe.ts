import { readFileSync } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { request as requestHttps } from 'node:https';
import { createConnection } from 'node:net';
import { httpRequest } from '../process/index.ts';
import type { Probe } from './components/component.ts';

/** Milliseconds until a probe without an answer counts as failed. */
const timeout = 3_000;

/**
 * Asks a component whether it is ready.
 *
 * @param root the component's root folder as it is reached from here
 * @param revision of the portal's configuration
 * @returns `ready` or why not; never throws
 */
export async function ask(probe: Probe, root: string, revision: string): Promise<'ready' | { reason: string }> {
  try {
    switch (probe.kind) {
      case 'http':
        return await askHttp(probe);
      case 'socket':
        await connect(`${root}${probe.path}`);
        return 'ready';
      case 'file':
        await access(`${root}${probe.path}`);
        return 'ready';
      case 'portal': {
        const status = parsePortalStatus(await readFile(probe.status, 'utf8'));
        return status.revision === revision ? 'ready' : { reason: status.error ?? 'it has an earlier configuration' };
      }
    }
  } catch (error) {
    return { reason: (error as Error).message };
  }
}

async function askHttp(probe: Probe & { kind: 'http' }): Promise<'ready' | { reason: string }> {
  return new Promise((resolve) => {
    const options = { socketPath: probe.socket, path: probe.path, timeout, agent: false as const };
    const { tls } = probe;
    const call = tls
      ? requestHttps({
          ...options,
          servername: tls.serverName,
          host: tls.serverName,
          ca: readFileSync(tls.ca),
          cert: readFileSync(tls.certificate),
          key: readFileSync(tls.key),
        })
      : httpRequest({ ...options, host: 'localhost' });
    call.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text = (text + piece).slice(0, 4096);
      });
      response.on('error', (error) => resolve({ reason: error.message }));
      response.on('end', () => {
        if (response.statusCode === 200) resolve('ready');
        else resolve({ reason: `HTTP ${response.statusCode}: ${failedChecks(text)}` });
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer in ${timeout / 1000} s`)));
    call.on('error', (error) => resolve({ reason: error.message }));
    call.end();
  });
}

/** Kubernetes' health pages list each check on a line, `[-]` before those that fail. */
function failedChecks(text: string): string {
  const failed = text.split('\n').filter((line) => line.startsWith('[-]'));
  return (failed.length > 0 ? failed.join('; ') : (text.trim().split('\n')[0] ?? '')).slice(0, 300);
}

function connect(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    socket.setTimeout(timeout, () => socket.destroy(new Error('no answer')));
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

export interface PortalStatus {
  readonly revision: string;
  readonly error: string | undefined;
  readonly forwards: readonly { name: string; listening: boolean; address: string; error?: string }[];
}

/** The portal's status file: engine/portal/status.go. */
export function parsePortalStatus(text: string): PortalStatus {
  const value = JSON.parse(text) as { revision?: unknown; error?: unknown; forwards?: unknown };
  const forwards = Array.isArray(value.forwards) ? value.forwards : [];
  return {
    revision: typeof value.revision === 'string' ? value.revision : '',
    error: typeof value.error === 'string' ? value.error : undefined,
    forwards: forwards.flatMap((one: Record<string, unknown>) =>
      typeof one?.name === 'string'
        ? [
            {
              name: one.name,
              listening: one.listening === true,
              address: typeof one.address === 'string' ? one.address : '',
              ...(typeof one.error === 'string' && { error: one.error }),
            },
          ]
        : [],
    ),
  };
}
