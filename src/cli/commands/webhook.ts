import type { Command } from 'commander';
import { Fault } from '../../fault/index.ts';
import type { WebhookView } from '../../server/index.ts';
import { apiOf, type ServerChoice, withServerOption } from '../api.ts';
import type { CommandContext } from '../context.ts';
import { count } from '../views/count.ts';

const several = (word: string, so: readonly string[] = []) => [...so, word];

export function define(command: Command, context: CommandContext): void {
  command.addHelpText(
    'after',
    `
Tells others of releases, rollouts, gates and holds: each event is sent at least once, signed as Standard Webhooks, and again for a day
where it does not arrive. For administrators.

Examples:
  banksman webhook add https://chat.bank.example/banksman --event 'rollout.*' --event hold.begin
  banksman webhook test wh_0123456789ab
  banksman webhook list`,
  );
  defineAdd(command.command('add'), context);
  defineList(command.command('list'), context);
  defineRemove(command.command('remove'), context);
  defineTest(command.command('test'), context);
  defineRetry(command.command('retry'), context);
}

function defineAdd(command: Command, context: CommandContext): void {
  const { terminal } = context;
  withServerOption(command.summary('send events to an address').argument('<url>', 'https://HOST/PATH'))
    .description('sends events to an address, and prints the secret that receivers check them with, this once')
    .option(
      '--event <kind>',
      "rollout.failed, or 'rollout.*' for all of a kind; may be given again; everything unless told",
      several,
    )
    .option('--allow-link-local', 'the address may be link-local, or one of a metadata service')
    .option('--json', 'print {id, secret} as JSON')
    .action(
      async (url: string, options: ServerChoice & { event?: string[]; allowLinkLocal?: boolean; json?: boolean }) => {
        const { event: events = [], allowLinkLocal } = options;
        const body = { url, events, ...(allowLinkLocal === true && { allowLinkLocal }) };
        const made = (await apiOf(options, context)('POST', '/v1/webhooks', body)) as { id: string; secret: string };
        if (options.json) return terminal.print(JSON.stringify(made));
        terminal.print(`${made.id}\n${made.secret}`);
      },
    );
}

function defineList(command: Command, context: CommandContext): void {
  const { terminal } = context;
  withServerOption(command.summary('show webhooks, and how they fare'))
    .description('shows webhooks, what waits, and what was given up')
    .option('--json', 'print a JSON list')
    .action(async (options: ServerChoice & { json?: boolean }) => {
      const webhooks = (await apiOf(options, context)('GET', '/v1/webhooks')) as readonly WebhookView[];
      if (options.json) return terminal.print(JSON.stringify(webhooks, undefined, 2));
      for (const webhook of webhooks) for (const line of linesOf(webhook, terminal.paint)) terminal.print(line);
      if (webhooks.length === 0) terminal.print('there is no webhook');
    });
}

function defineRemove(command: Command, context: CommandContext): void {
  const { terminal } = context;
  withServerOption(command.summary('send nothing more').argument('<id>', 'wh_...'))
    .description('sends nothing more to an address; what waits is dropped')
    .action(async (id: string, options: ServerChoice) => {
      await apiOf(options, context)('DELETE', `/v1/webhooks/${encodeURIComponent(id)}`);
      terminal.print('removed');
    });
}

function defineTest(command: Command, context: CommandContext): void {
  const { terminal } = context;
  withServerOption(command.summary('send a message now').argument('<id>', 'wh_...'))
    .description('sends a message of the type banksman.test now, and says what became of it')
    .action(async (id: string, options: ServerChoice) => {
      const path = `/v1/webhooks/${encodeURIComponent(id)}/test`;
      const { received, told } = (await apiOf(options, context)('POST', path)) as { received: boolean; told: string };
      if (received) return terminal.print(`received: ${told}`);
      throw new Fault('cli/not-received', `the receiver did not take it: ${told}`, {
        next: 'check the address, and that the receiver answers 2xx within 10 seconds',
      });
    });
}

function defineRetry(command: Command, context: CommandContext): void {
  const { terminal } = context;
  withServerOption(command.summary('send what was given up once more').argument('<id>', 'wh_...'))
    .description('sends what was given up once more, and begins again where nothing was sent any more')
    .action(async (id: string, options: ServerChoice) => {
      const path = `/v1/webhooks/${encodeURIComponent(id)}/retry`;
      const { messages } = (await apiOf(options, context)('POST', path)) as { messages: number };
      terminal.print(`${count(messages, 'message')} to be sent`);
    });
}

function linesOf(
  { id, url, events, pending, dead, delivered, deliveredAt, trouble, disabled }: WebhookView,
  paint: CommandContext['terminal']['paint'],
): string[] {
  const wanted = events.length === 0 ? 'everything' : events.join(', ');
  const last = deliveredAt === undefined ? '' : `, the last at ${deliveredAt}`;
  return [
    `${id}  ${url}  ${wanted}`,
    `  ${delivered} delivered${last}; ${pending} waiting; ${dead === 0 ? '0 given up' : paint.bad(`${dead} given up`)}`,
    ...(trouble === undefined ? [] : [`  trouble: ${trouble}`]),
    ...(disabled === undefined
      ? []
      : [`  ${paint.bad('stopped')}: ${disabled}; begin again with banksman webhook retry ${id}`]),
  ];
}
