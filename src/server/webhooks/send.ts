import { lookup } from 'node:dns';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { mayReach } from './address.ts';

export interface Message {
  readonly url: URL;
  readonly allowLinkLocal: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Milliseconds for all of it. */
  readonly patience: number;
  readonly signal?: AbortSignal | undefined;
}

/** What became of an attempt. */
export interface Sent {
  /** The receiver has it. */
  readonly received: boolean;
  /** HTTP's status, where there was an answer. */
  readonly status?: number | undefined;
  /** One line for a person. */
  readonly told: string;
  /** Milliseconds that the receiver asks for. */
  readonly wish?: number | undefined;
}

/** Sends a message once. Never throws for what a receiver does; redirects are not followed. */
export async function send({ url, allowLinkLocal, headers, body, patience, signal }: Message): Promise<Sent> {
  const stop = AbortSignal.any([AbortSignal.timeout(patience), ...(signal === undefined ? [] : [signal])]);
  const resolve: LookupFunction = (name, options, done) => {
    lookup(name, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, '', 0);
      const allowed = found.filter(({ address }) => mayReach(address, url, allowLinkLocal));
      const [first] = allowed;
      if (first === undefined) {
        return done(new Error(`${name} has no address that may be sent to`) as NodeJS.ErrnoException, '', 0);
      }
      if (options.all === true) (done as unknown as (error: null, all: typeof allowed) => void)(null, allowed);
      else done(null, first.address, first.family);
    });
  };
  return await new Promise<Sent>((settle) => {
    const failed = (error: Error) =>
      settle({
        received: false,
        told: stop.aborted ? `no answer within ${patience / 1000} s` : error.message || error.name,
      });
    const call = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
      method: 'POST',
      agent: false,
      headers: {
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
        'user-agent': 'banksman',
        ...headers,
      },
      lookup: resolve,
      signal: stop,
    });
    call.on('error', failed);
    call.on('response', (answer) => {
      // Its word counts, and not how long it goes on.
      const status = answer.statusCode ?? 0;
      const received = status >= 200 && status < 300;
      const said: Sent = { received, status, told: `answered ${status}`, wish: wishOf(answer.headers['retry-after']) };
      answer.on('error', () => {});
      answer.destroy();
      settle(said);
    });
    call.end(body);
  });
}

/** `Retry-After` in seconds; a date is not listened to. */
function wishOf(header: string | undefined): number | undefined {
  return header !== undefined && /^[0-9]{1,6}$/.test(header) ? Number(header) * 1000 : undefined;
}
