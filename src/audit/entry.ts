import { createHash } from 'node:crypto';
import { AuditFault } from './fault.ts';

/** What somebody did. */
export interface AuditEvent {
  /** Who: a person's or a program's name, as it signed in. */
  readonly who: string;
  /** What: `rollout.start`, `approval.give`. */
  readonly action: string;
  /** To what: `//bank/ledger:ledger in prod`. */
  readonly subject: string;
  /** From where: an address, a machine. */
  readonly source: string;
  /** Why, where the person said so. */
  readonly why?: string | undefined;
  /** Before and after, as far as that says something; no secrets. */
  readonly before?: unknown;
  readonly after?: unknown;
}

/** One line of the log. */
export interface AuditEntry {
  /** From 1 on, without gaps. */
  readonly number: number;
  /** RFC 3339, milliseconds, UTC. */
  readonly at: string;
  readonly event: AuditEvent;
  /** Hash of the entry before; zeros before the first. */
  readonly previous: string;
  /** SHA-256 over `previous` and the body, in hex. */
  readonly hash: string;
}

export const beginning = '0'.repeat(64);
/** Characters of a body: what is larger belongs into the registry, with its digest here. */
const maximumBody = 64 * 1024;

/**
 * The text that an entry's hash is taken over: JSON with its keys in order, of number, time and event. What stands in the database is
 * this text, so that nothing depends on how a database writes JSON.
 *
 * @throws AuditFault audit/bad-entry where it is too large or not JSON
 */
export function bodyOf(number: number, at: string, event: AuditEvent): string {
  const { who, action, subject, source, why, before, after } = event;
  const body = JSON.stringify(ordered({ number, at, who, action, subject, source, why, before, after }));
  if (body.length > maximumBody) {
    throw new AuditFault('audit/bad-entry', `an audit entry of ${body.length} characters is too large`, {
      next: `keep it below ${maximumBody}: name large things by their digest`,
    });
  }
  return body;
}

/** @throws AuditFault audit/bad-entry */
export function readBody(body: string): { readonly number: number; readonly at: string; readonly event: AuditEvent } {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new AuditFault('audit/bad-entry', 'an audit entry is not JSON', { cause });
  }
  const { number, at, ...event } = (value ?? {}) as Record<string, unknown>;
  const texts = [at, event.who, event.action, event.subject, event.source];
  if (typeof number !== 'number' || !texts.every((text) => typeof text === 'string')) {
    throw new AuditFault('audit/bad-entry', 'an audit entry is not in its form');
  }
  return { number, at: at as string, event: event as unknown as AuditEvent };
}

export function hashOf(previous: string, body: string): string {
  return createHash('sha256').update(`${previous}\n${body}`).digest('hex');
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .map(([key, each]): [string, unknown] => [key, ordered(each)])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
