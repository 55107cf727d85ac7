import { randomUUID } from 'node:crypto';
import { actorOf } from '../asked.ts';
import type { Call } from '../call.ts';
import { sendTo } from '../webhooks/deliver.ts';

/** Milliseconds that a receiver has for a trial. */
const patience = 10_000;

/** Who is told of what happens. */
export const webhookCalls: readonly Call[] = [
  {
    method: 'GET',
    path: '/v1/webhooks',
    summary: 'All webhooks, with what waits and what was given up, without their secrets',
    action: 'webhook.read',
    gives: 'webhooks',
    answer: ({ webhooks }) => webhooks.list(),
  },
  {
    method: 'POST',
    path: '/v1/webhooks',
    summary: 'Send what happens to an address, signed; the secret is shown this once',
    action: 'webhook.change',
    takes: 'createWebhook',
    gives: 'createdWebhook',
    status: 201,
    async answer({ webhooks, now }, request) {
      const { url, events = [], allowLinkLocal = false } = request.body;
      const wanted = { url: url as string, events: events as string[], allowLinkLocal: allowLinkLocal as boolean };
      return await webhooks.create(wanted, actorOf(request), now());
    },
  },
  {
    method: 'DELETE',
    path: '/v1/webhooks/{webhook}',
    summary: 'Send nothing more to an address',
    action: 'webhook.change',
    gives: 'nothing',
    async answer({ webhooks, now }, request) {
      await webhooks.remove(request.parameters.webhook ?? '', actorOf(request), now());
      return {};
    },
  },
  {
    method: 'POST',
    path: '/v1/webhooks/{webhook}/test',
    summary: 'Send a message of the type banksman.test now, and say what became of it',
    action: 'webhook.change',
    gives: 'triedWebhook',
    async answer({ webhooks, now }, { parameters, person, signal }) {
      const webhook = await webhooks.find(parameters.webhook ?? '');
      const at = now();
      const body = { type: 'banksman.test', timestamp: new Date(at).toISOString(), data: { who: person.name } };
      const id = `msg_test_${randomUUID()}`;
      const { received, status, told } = await sendTo(webhook, id, JSON.stringify(body), at, patience, signal);
      return { received, told, ...(status !== undefined && { status }) };
    },
  },
  {
    method: 'POST',
    path: '/v1/webhooks/{webhook}/retry',
    summary: 'Send what was given up once more',
    action: 'webhook.change',
    gives: 'retriedWebhook',
    async answer({ webhooks, now }, request) {
      return { messages: await webhooks.retry(request.parameters.webhook ?? '', actorOf(request), now()) };
    },
  },
];
