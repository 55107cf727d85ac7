import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from './api.ts';

/** What happens on a server, as it happens. */
export interface News {
  /**
   * Heeds what happens from now on.
   *
   * @param isMeant of the subject of an event: `//bank/ledger:ledger in prod`
   * @returns what waits until something has happened since it last ended, or it is time to look again: where the stream is up that is
   *   seldom, where it is not, every half second. It throws the signal's reason
   */
  heed(isMeant: (subject: string) => boolean): () => Promise<void>;
  /** Waits until the stream is up, and what happens from here on is heard of; not for longer than some seconds. */
  ready(): Promise<void>;
  stop(): void;
}

/** Milliseconds between two looks without a stream, growing. */
const shortestLook = 500;
const longestLook = 2_000;
/** Milliseconds between two looks beside a stream: for what it should have told and did not. */
const seldom = 30_000;
/** Milliseconds without a word after which a stream is taken for dead: the server says something every 15 seconds. */
const silence = 40_000;
/** Milliseconds that the first look waits for the stream. */
const firstWord = 3_000;
/** Milliseconds before the stream is asked for again. */
const pause = 1_000;
const longestPause = 30_000;

/**
 * Follows the server's stream of events (server-sent events, resumed by Last-Event-ID). Where something on the way cuts it, holds it
 * back, or knows nothing of it, waiting goes on by looking again and again, and the stream is asked for anew.
 */
export function followNews(api: Api, signal: AbortSignal): News {
  const stopping = new AbortController();
  const ended = AbortSignal.any([signal, stopping.signal]);
  const heeding = new Set<Heed>();
  let isUp = false;
  let last: string | undefined;
  let looks = 0;
  const { promise: first, resolve: heard } = Promise.withResolvers<void>();
  /** @param subject all who wait where it is left out */
  const wake = (subject?: string) => {
    for (const each of heeding) {
      if (subject !== undefined && !each.isMeant(subject)) continue;
      each.isNew = true;
      each.wake();
    }
  };

  const read = async () => {
    const cut = new AbortController();
    let timer = setTimeout(() => cut.abort(), silence);
    try {
      const answer = await api.stream?.('/v1/events', last, AbortSignal.any([ended, cut.signal]));
      if (answer?.ok !== true || answer.body === null) return void (await answer?.body?.cancel());
      for await (const event of eventsIn(answer.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => cut.abort(), silence);
        if (!isUp) {
          isUp = true;
          looks = 0;
          heard();
          // What happened while nobody listened.
          wake();
        }
        if (event === undefined) continue;
        last = event.id;
        wake(event.subject);
      }
    } finally {
      clearTimeout(timer);
      isUp = false;
      // Where there is none, nobody waits for it any longer.
      heard();
    }
  };
  const run = async () => {
    let failures = 0;
    while (!ended.aborted) {
      const began = performance.now();
      // Whatever is wrong with it, the looks go on, and their errors are told.
      await read().catch(() => {});
      failures = performance.now() - began > 2 * pause ? 0 : failures + 1;
      wake();
      await sleep(Math.min(longestPause, pause * 2 ** failures) / 2, undefined, { signal: ended }).catch(() => {});
    }
  };
  if (api.stream === undefined) heard();
  else void run();

  return {
    async ready() {
      const timer = new AbortController();
      await Promise.race([
        first,
        sleep(firstWord, undefined, { signal: AbortSignal.any([ended, timer.signal]) }).catch(() => {}),
      ]);
      timer.abort();
      signal.throwIfAborted();
    },
    heed(isMeant) {
      const heed: Heed = { isMeant, isNew: false, wake() {} };
      heeding.add(heed);
      return async () => {
        const limit = isUp ? seldom : Math.min(longestLook, shortestLook * 2 ** Math.floor(looks++ / 20));
        const timer = new AbortController();
        if (!heed.isNew) {
          const { promise, resolve } = Promise.withResolvers<void>();
          heed.wake = resolve;
          await Promise.race([
            promise,
            sleep(limit, undefined, { signal: AbortSignal.any([ended, timer.signal]) }).catch(() => {}),
          ]);
          timer.abort();
        }
        heed.isNew = false;
        signal.throwIfAborted();
      };
    },
    stop: () => stopping.abort(),
  };
}

interface Heed {
  readonly isMeant: (subject: string) => boolean;
  /** Something has happened since the last look. */
  isNew: boolean;
  wake: () => void;
}

interface NewsEvent {
  readonly id: string;
  readonly subject: string;
}

/** Bytes of one event: what is longer is no stream of ours. */
const longestEvent = 4 * 1024 * 1024;

/** Events of a stream (HTML Standard, "Interpreting an event stream"); undefined for words that are no event: they show that it lives. */
export async function* eventsIn(body: ReadableStream<Uint8Array>): AsyncGenerator<NewsEvent | undefined> {
  let rest = '';
  for await (const text of body.pipeThrough(new TextDecoderStream() as never) as unknown as AsyncIterable<string>) {
    const blocks = (rest + text).split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? '';
    if (rest.length > longestEvent) throw new Error('an event without an end');
    for (const block of blocks) yield eventOf(block);
  }
}

function eventOf(block: string): NewsEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split(/\r?\n/)) {
    const [, name = '', value = ''] = /^([^:]+):? ?(.*)$/.exec(line) ?? [];
    fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
  }
  const [id, data] = [fields.get('id'), fields.get('data')];
  if (id === undefined || data === undefined) return undefined;
  try {
    const { subject } = JSON.parse(data) as { readonly subject?: unknown };
    return typeof subject === 'string' ? { id, subject } : undefined;
  } catch {
    return undefined;
  }
}
