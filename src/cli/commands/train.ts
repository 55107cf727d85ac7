import type { Command } from 'commander';
import { Fault, nearest } from '../../fault/index.ts';
import { apiOf, queryText, type ServerChoice, withServerOption } from '../api.ts';
import { withEnvironmentOption } from '../cluster.ts';
import type { CommandContext } from '../context.ts';
import { followNews } from '../news.ts';
import type { Paint } from '../terminal.ts';
import { UsageFault } from '../usage.ts';
import { paintState, shortRelease } from '../views/rollouts.ts';
import { here } from '../workspace.ts';

interface Options extends ServerChoice {
  readonly env: string;
  readonly set?: string;
  readonly kind?: string;
  readonly why?: string;
  readonly show?: string;
  readonly preview?: boolean;
  readonly wait?: boolean;
  readonly json?: boolean;
}

interface Car {
  readonly service: string;
  readonly release: { readonly id: string; readonly order: number };
  readonly after: readonly string[];
  readonly state?: string;
}

interface Train {
  readonly id: string;
  readonly cars: readonly Car[];
  readonly endedAt?: string;
}

interface Plan {
  readonly cars: readonly Car[];
  readonly stay: readonly { readonly service: string; readonly why: string }[];
  readonly circles: readonly (readonly string[])[];
}

export function define(command: Command, context: CommandContext): void {
  withServerOption(
    withEnvironmentOption(
      command.argument('[patterns...]', 'only of these: //bank/..., //bank/ledger; all unless told'),
    ),
  )
    .option('--set <name>', 'only services of this set of banksman.yaml')
    .option('--kind <kind>', 'service unless told, or infrastructure')
    .option('--why <reason>', 'for the record')
    .option('--preview', 'only show what would go, in which order, and what stays and why')
    .option('--show <train>', 'where the cars of a train are')
    .option('--wait', 'until it has ended; the exit code says whether all arrived')
    .option('--json', 'print the train, or its plan, as JSON')
    .addHelpText(
      'after',
      `
Promotes everything that is healthy in the environment before, each service after those that it needs. Each waits for its own gates.
What fails keeps those behind it where they are, and no others.

Examples:
  banksman train --env prod --preview
  banksman train --env prod --why "release of the week" --wait
  banksman train --env prod --set payments --why "new rates"`,
    )
    .action((patterns: string[], options: Options) => run(patterns, options, context));
}

async function run(patterns: readonly string[], options: Options, context: CommandContext): Promise<void> {
  const { terminal, signal } = context;
  const { env, kind, why, json } = options;
  const call = apiOf(options, context);
  const print = (value: object, lines: readonly string[]) => {
    if (json) terminal.print(JSON.stringify(value, undefined, 2));
    else for (const line of lines) terminal.print(line);
  };
  if (options.show !== undefined) {
    const train = (await call('GET', `/v1/trains/${encodeURIComponent(options.show)}`)) as Train;
    return print(train, carLines(train.cars, terminal.paint));
  }
  const wanted = [...patterns, ...(options.set === undefined ? [] : await setNamed(options.set))];
  const match = wanted.length === 0 ? undefined : wanted.join(',');
  const trains = `/v1/environments/${encodeURIComponent(env)}/train`;
  if (options.preview) {
    const plan = (await call('GET', `${trains}${queryText({ match, kind })}`)) as Plan;
    return print(plan, [
      ...(plan.cars.length === 0 ? ['nothing would go'] : carLines(plan.cars, terminal.paint)),
      ...plan.stay.map(({ service, why }) => terminal.paint.faint(`${service}  stays: ${why}`)),
      ...plan.circles.map(
        (circle) => `${terminal.paint.warn('note')}: these need each other, and go together: ${circle.join(', ')}`,
      ),
    ]);
  }
  if (why === undefined)
    throw new UsageFault('cli/wrong-use', 'a train needs --why', { next: 'say it for the record' });
  const body = { why, ...(match !== undefined && { match }), ...(kind !== undefined && { kind }) };
  let train = (await call('POST', `${trains}s`, body)) as Train;
  if (!options.wait) return print(train, [`train ${train.id}`, ...carLines(train.cars, terminal.paint)]);
  const said = new Map<string, string>();
  const news = followNews(call, signal);
  const task = context.progress.begin(`train ${train.id}`);
  try {
    await news.ready();
    const next = news.heed((subject) => subject.endsWith(` in ${env}`));
    train = (await call('GET', `/v1/trains/${encodeURIComponent(train.id)}`)) as Train;
    while (train.endedAt === undefined) {
      for (const { service, state = 'waits' } of train.cars) {
        if (said.get(service) !== state) context.progress.say(`  ${service}  ${state}`);
        said.set(service, state);
      }
      const arrived = train.cars.filter(({ state }) => state === 'arrived').length;
      task.update(`${arrived} of ${train.cars.length} arrived`);
      // Its cars, or the train itself.
      await next();
      train = (await call('GET', `/v1/trains/${encodeURIComponent(train.id)}`)) as Train;
    }
  } finally {
    task.done();
    news.stop();
  }
  print(train, carLines(train.cars, terminal.paint));
  const bad = train.cars.filter(({ state }) => state !== 'arrived');
  if (bad.length === 0) return;
  throw new Fault('release/rollout-failed', `${bad.length} of ${train.cars.length} did not arrive`, {
    notes: bad.map(({ service, state }) => `${service}: ${state}`),
    next: `see every step: banksman history ${bad[0]?.service} --env ${env}`,
  });
}

function carLines(cars: readonly Car[], paint: Paint): string[] {
  const width = Math.max(0, ...cars.map(({ service }) => service.length));
  return cars.map(({ service, release, after, state }) => {
    const behind = after.length === 0 ? '' : paint.faint(`  after ${after.join(', ')}`);
    const how =
      state === undefined
        ? ''
        : `  ${paintState(state === 'arrived' ? 'healthy' : state, paint).replace('healthy', 'arrived')}`;
    return `${service.padEnd(width)}  release ${shortRelease(release.id)} (${release.order})${how}${behind}`;
  });
}

async function setNamed(name: string): Promise<readonly string[]> {
  const { sets = {} } = (await here()).workspace;
  const found = Object.hasOwn(sets, name) ? sets[name] : undefined;
  if (found !== undefined) return found;
  const meant = nearest(name, Object.keys(sets));
  throw new UsageFault('cli/wrong-use', `banksman.yaml has no set ${name}`, {
    next: meant === undefined ? 'say it there: sets: { payments: [//bank/...] }' : `did you mean ${meant}?`,
  });
}
