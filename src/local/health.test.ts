import { expect, test } from 'vitest';
import { type Action, decide, type Health, initialHealth, type Observation, patience } from './health.ts';

/** Plays one process against a clock. */
function play() {
  let health: Health = initialHealth(0);
  let now = 0;
  const look = (seen: Partial<Observation> = {}): Action => {
    const decision = decide(health, { now, alive: true, needsReady: true, probe: undefined, ...seen });
    health = decision.health;
    return decision.action;
  };
  return {
    look,
    wait: (milliseconds: number) => {
      now += milliseconds;
    },
    get health() {
      return health;
    },
  };
}

test('it is started when what it needs is ready, and not before', () => {
  const one = play();
  expect(one.look({ alive: false, needsReady: false })).toBe('none');
  expect(one.health.phase).toBe('waiting');
  expect(one.look({ alive: false })).toBe('start');
  expect(one.look({ probe: { reason: 'not yet' } })).toBe('none');
  expect(one.health).toMatchObject({ phase: 'starting', reason: 'not yet', restarts: 0 });
  one.look({ probe: 'ready' });
  expect(one.health).toMatchObject({ phase: 'ready', reason: undefined });
});

test('one that had settled and is killed starts again at once', () => {
  const one = play();
  one.look({ alive: false });
  one.look({ probe: 'ready' });
  one.wait(patience.settled + 1);
  expect(one.look({ alive: false, ended: 'ended by SIGKILL' })).toBe('start');
  expect(one.health).toMatchObject({ restarts: 1, reason: 'ended by SIGKILL' });
});

test('one that ends again and again waits longer each time, up to a limit', () => {
  const one = play();
  one.look({ alive: false });
  const pauses: number[] = [];
  for (let end = 0; end < 12; end++) {
    let waited = 0;
    while (one.look({ alive: false, ended: 'ended with exit code 1' }) !== 'start') {
      one.wait(50);
      waited += 50;
    }
    pauses.push(waited);
  }
  expect(pauses.slice(0, 5)).toEqual([0, 200, 400, 800, 1600]);
  expect(pauses.at(-1)).toBe(patience.longestPause);
});

test('a crash right after it was ready counts as a failed start too', () => {
  const one = play();
  one.look({ alive: false });
  for (let end = 0; end < 3; end++) {
    one.look({ probe: 'ready' });
    one.look({ alive: false, ended: 'ended with exit code 2' });
    one.wait(patience.longestPause);
    one.look({ alive: false });
  }
  expect(one.health.failures).toBe(3);
});

test('one that hangs is ended, but not while what it needs is away', () => {
  const one = play();
  one.look({ alive: false });
  one.look({ probe: 'ready' });
  one.look({ probe: { reason: 'no answer' } });
  expect(one.health.phase).toBe('unwell');
  one.wait(patience.unwell * 3);
  expect(one.look({ probe: { reason: 'no answer' }, needsReady: false })).toBe('none');
  expect(one.look({ probe: { reason: 'no answer' } })).toBe('none');
  one.wait(patience.unwell + 1);
  expect(one.look({ probe: { reason: 'no answer' } })).toBe('kill');
});

test('one that never becomes ready is ended after a while', () => {
  const one = play();
  one.look({ alive: false });
  one.wait(patience.start - 1);
  expect(one.look({ probe: { reason: 'no' } })).toBe('none');
  one.wait(2);
  expect(one.look({ probe: { reason: 'no' } })).toBe('kill');
});

test('after a time of being well, earlier failures are forgotten', () => {
  const one = play();
  one.look({ alive: false });
  one.look({ alive: false });
  expect(one.health.failures).toBe(1);
  one.look({ probe: 'ready' });
  one.wait(patience.settled);
  one.look({ probe: 'ready' });
  expect(one.health.failures).toBe(0);
});
