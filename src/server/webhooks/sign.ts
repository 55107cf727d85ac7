import { createHmac, randomBytes } from 'node:crypto';

const prefix = 'whsec_';

/** A secret of Standard Webhooks: 32 bytes. */
export function newSecret(): string {
  return `${prefix}${randomBytes(32).toString('base64')}`;
}

/**
 * Headers by which a receiver knows that a message is ours and not an old one (Standard Webhooks, "Signature scheme").
 *
 * @param id the same for each time that a message is sent
 * @param at milliseconds since the epoch, of this time
 */
export function signedHeaders(id: string, at: number, body: string, secret: string): Record<string, string> {
  const timestamp = String(Math.floor(at / 1000));
  const key = Buffer.from(secret.slice(prefix.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
