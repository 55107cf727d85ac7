import type { Command } from 'commander';
import { Fault } from '../fault/index.ts';
import type { Label } from '../graph/index.ts';
import { traceparent } from '../trace/index.ts';
import type { CommandContext } from './context.ts';
import { fetchFrom, readSignIn, type ServerPlace, serverPlace } from './server-place.ts';
import { serviceNamed } from './service.ts';
import { UsageFault } from './usage.ts';

export interface ServerChoice {
  readonly server?: string;
}

/** Milliseconds. */
const patience = 30_000;

export function withServerOption(command: Command): Command {
  return command.option(
    '--server <url>',
    "the server, with the token in $BANKSMAN_TOKEN ($BANKSMAN_SERVER; the one of this machine unless told), or 'alone': its core within this command",
  );
}

/** Whether a server is named by an option or a variable. */
export function namesServer({ server }: ServerChoice): boolean {
  return server !== undefined || Boolean(process.env.BANKSMAN_SERVER);
}

/**
 * Whether a command that also works on a cluster alone is to speak to the server: where one is named, or somebody signed in to that of
 * this machine's cluster. `--cluster` and `--context` mean the cluster alone.
 */
export async function wantsServer(options: ServerChoice & Parameters<typeof refuseClusterChoice>[0]): Promise<boolean> {
  if (namesServer(options)) return true;
  if (options.cluster !== undefined || options.context !== undefined) return false;
  return (await readSignIn(process.env.BANKSMAN_CLUSTER || undefined)) !== undefined;
}

/** Options that say how a cluster is reached mean nothing to the server, which reaches its own. @throws UsageFault */
export function refuseClusterChoice(options: { readonly cluster?: string; readonly context?: string }): void {
  const named = options.cluster !== undefined ? '--cluster' : options.context !== undefined ? '--context' : undefined;
  if (named === undefined) return;
  throw new UsageFault('cli/wrong-use', `${named} and a server exclude each other`, {
    next: `leave ${named} out, or unset BANKSMAN_SERVER to work on the cluster alone`,
  });
}

/** What is needed of a command to speak to a server. */
export type ApiContext = Pick<CommandContext, 'signal' | 'progress' | 'atEnd'>;

/** A call of the server's API. */
export interface Api {
  (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<unknown>;
  /** A stream of events from behind the last one that was seen, for as long as it lasts. */
  readonly stream?: (path: string, after: string | undefined, signal: AbortSignal) => Promise<Response>;
}

/**
 * Calls a server. The token comes from the environment, so that it stands in no list of processes.
 *
 * @throws UsageFault where there is no token or it would go in the clear; Fault with the server's own code and next step
 */
export function apiOf({ server }: ServerChoice, context: ApiContext): Api {
  let opening: Promise<Api> | undefined;
  const opened = () => {
    opening ??= placeOf(server, context).then((place) => apiAt(place, context.signal));
    return opening;
  };
  const call = async (...asked: Parameters<Api>) => await (await opened())(...asked);
  return Object.assign(call, {
    stream: async (...asked: Parameters<NonNullable<Api['stream']>>) =>
      (await opened()).stream?.(...asked) ?? Response.error(),
  });
}

/** Where the server is that is meant: `alone` is begun here, and ends with the command. */
export async function placeOf(
  server: string | undefined,
  context: ApiContext,
  cluster?: string | undefined,
): Promise<ServerPlace> {
  if ((server ?? process.env.BANKSMAN_SERVER) !== 'alone') return await serverPlace(server, cluster);
  return await (await import('./alone.ts')).startAlone(context);
}

/** The same of a server that is known. */
export function apiAt(place: ServerPlace, signal: AbortSignal): Api {
  const { base, token } = place;
  const send = fetchFrom(place);
  if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol)) {
    throw new UsageFault('cli/wrong-use', `${base} is not the address of a server`, {
      next: 'give --server https://HOST',
    });
  }
  const { protocol, hostname, host } = new URL(base);
  if (protocol === 'http:' && !/^(?:127\.[0-9.]+|localhost|\[::1\])$/.test(hostname)) {
    throw new UsageFault('cli/wrong-use', `the token would go in the clear to ${host}`, {
      next: `use https://${host}`,
    });
  }
  if (token === undefined || token === '') {
    throw new UsageFault('cli/wrong-use', 'there is no token in $BANKSMAN_TOKEN', {
      next: 'ask an administrator for one; `banksman server token` makes the first',
    });
  }
  const stream: Api['stream'] = (path, after, ended) =>
    send(new URL(path, base), {
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'text/event-stream',
        ...(after !== undefined && { 'last-event-id': after }),
      },
      redirect: 'error',
      signal: AbortSignal.any([signal, ended]),
    });
  const call: Api = async (method, path, body) => {
    let answer: Response;
    const trace = traceparent();
    try {
      answer = await send(new URL(path, base), {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(trace !== undefined && { traceparent: trace }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]),
      });
    } catch (error) {
      signal.throwIfAborted();
      const { cause } = error as { cause?: unknown };
      const reason =
        cause instanceof Error ? cause.message || String((cause as { code?: unknown }).code) : String(error);
      throw new Fault('cli/no-server', `the server at ${host} can't be reached: ${reason}`, {
        next: 'start it with `banksman server`, name another with --server, or do without one: --server alone',
        cause: error,
      });
    }
    const json = (await answer.json().catch(() => undefined)) as Record<string, unknown> | undefined;
    if (answer.ok && json !== undefined) return json;
    const { type, detail, next, notes } = json ?? {};
    throw new Fault(
      typeof type === 'string' ? type.replace('urn:banksman:', '') : 'cli/no-server',
      typeof detail === 'string' ? detail : `the server at ${host} answers ${answer.status}`,
      {
        ...(typeof next === 'string' && { next }),
        ...(Array.isArray(notes) && { notes: notes.map(String) }),
      },
    );
  };
  return Object.assign(call, { stream });
}

/** Items of a list, page after page as they are asked for. @param path with what it is asked with, but no `after` */
export async function* itemsOf<Item>(
  call: Api,
  path: string,
  cursor: 'after' | 'before' = 'after',
): AsyncGenerator<Item> {
  for (let next: string | undefined = ''; next !== undefined; ) {
    const more: string = next === '' ? '' : `${path.includes('?') ? '&' : '?'}${cursor}=${encodeURIComponent(next)}`;
    const page = (await call('GET', `${path}${more}`)) as { readonly items: readonly Item[]; readonly next?: string };
    yield* page.items;
    next = page.next;
  }
}

/** `?kind=service&open=true` of what is not undefined. */
export function queryText(query: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const parts = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

/** A service's part of a path. A whole label is taken as it is: no workspace is needed for it. */
export async function servicePath(text: string, environment: string, context: CommandContext): Promise<string> {
  const label = await wholeLabel(text, context);
  return `/v1/environments/${encodeURIComponent(environment)}/services/${encodeURIComponent(label)}`;
}

export async function wholeLabel(text: string, context: CommandContext): Promise<Label> {
  if (/^\/\/[^\s:]*:[^\s:/]+$/.test(text)) return text as Label;
  return (await serviceNamed(text, context)).service.label;
}
