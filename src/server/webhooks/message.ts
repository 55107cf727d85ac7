import type { AuditEntry } from '../../audit/index.ts';

/**
 * The body of a message (Standard Webhooks, "Payload structure"): what the audit log says, with the service and the environment told apart.
 */
export function bodyOf({ number, at, event }: AuditEntry): string {
  const { who, action, subject, why, before, after } = event;
  const [, service, environment] = /^(\/\/\S+)(?: in (\S+))?$/.exec(subject) ?? [];
  return JSON.stringify({
    type: action,
    timestamp: at,
    data: { number, who, subject, service, environment, why, before, after },
  });
}

/** The same each time that a message is sent, so that a receiver knows what it has. */
export function idOf(webhook: string, number: number): string {
  return `msg_${webhook}_${number}`;
}
