import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../test/support/databases.ts';
import { readEntries, verifyLog } from '../audit/index.ts';

import { newSealKey, parseSealKeys, seal, sealedWith, unseal } from './sealing.ts';
import { activeWebhooks, openWebhooks } from './webhooks/store.ts';

const one = newSealKey(new Date('2026-01-01'));
const two = newSealKey(new Date('2026-02-01'));
const keysOf = (...lines: string[]) => parseSealKeys(lines.join('\n'), 'the test');

describe('a sealed text', () => {
  it('opens with its key where it belongs, and is another one each time', () => {
    const keys = keysOf('# first', one, '', two);
    const sealed = seal(keys, 'geheim é', 'secret of a');
    expect(unseal(keys, sealed, 'secret of a')).toBe('geheim é');
    expect(sealed).not.toBe(seal(keys, 'geheim é', 'secret of a'));
    expect(sealedWith(sealed)).toBe(one.split(' ')[0]);
    // The newest seals; an older one still opens.
    expect(unseal(keysOf(two, one), sealed, 'secret of a')).toBe('geheim é');
    expect(unseal(undefined, 'whsec_clear', 'secret of a')).toBe('whsec_clear');
  });

  it('does not open elsewhere, without its key, or changed in any byte', () => {
    const keys = keysOf(one);
    const sealed = seal(keys, 'geheim', 'secret of a');
    const refused = expect.objectContaining({ code: 'server/unreadable-secret' }) as Error;
    expect(() => unseal(keys, sealed, 'secret of b')).toThrow(refused);
    expect(() => unseal(keysOf(two), sealed, 'secret of a')).toThrow(refused);
    expect(() => unseal(undefined, sealed, 'secret of a')).toThrow(refused);
    const start = sealed.lastIndexOf('.') + 1;
    const bytes = Buffer.from(sealed.slice(start), 'base64url');
    for (let place = 0; place < bytes.length; place++) {
      const changed = Buffer.from(bytes);
      changed[place] = (changed[place] ?? 0) ^ 1;
      expect(() => unseal(keys, sealed.slice(0, start) + changed.toString('base64url'), 'secret of a')).toThrow(
        refused,
      );
    }
    for (const length of [0, 1, 12, 27]) {
      const cut = sealed.slice(0, start) + bytes.subarray(0, length).toString('base64url');
      expect(() => unseal(keys, cut, 'secret of a')).toThrow(refused);
    }
  });

  it.each(['', 'x', 'a b c', `a ${Buffer.alloc(16).toString('base64')}`, `${one}\n${one}`, `a/b ${one.split(' ')[1]}`])(
    'has no key in %j, and the error shows none',
    (text) => {
      const error = (() => {
        try {
          return void parseSealKeys(text, 'the file');
        } catch (thrown) {
          return thrown as Error;
        }
      })();
      expect(error).toMatchObject({ code: 'server/bad-key', message: expect.stringContaining('the file') as string });
      expect(String(error)).not.toContain(one.split(' ')[1]);
    },
  );
});

describe.each(testDatabases)('secrets of webhooks on $engine', ({ start }) => {
  let running: RunningDatabase;
  beforeAll(async () => {
    running = await start();
  }, 60_000);
  afterAll(() => running?.stop());
  const actor = { who: 'ada', source: 'test' };
  const request = { url: 'https://hooks.bank.example/x?token=hidden', events: [], allowLinkLocal: false };
  const dump = async () => JSON.stringify(await running.database.query('SELECT * FROM webhooks ORDER BY id'));
  const secretsNow = async (...lines: string[]) => {
    const errors: string[] = [];
    const keys = lines.length === 0 ? undefined : keysOf(...lines);
    const found = await activeWebhooks(running.database, keys, (_, id) => errors.push(id));
    return { found: found.map(({ id, secret, url }) => ({ id, secret, url: url.href })), errors };
  };

  it('lie sealed, move to another key, and one that is lost keeps nobody else from his messages', async () => {
    const { database } = running;
    const none = await openWebhooks(database, undefined);
    await expect(none.create(request, actor, 0)).rejects.toMatchObject({ code: 'server/no-key' });

    const first = await openWebhooks(database, keysOf(one));
    const made = await first.create(request, actor, 0);
    const sealed = await dump();
    for (const text of [made.secret, 'hidden', 'hooks.bank.example']) expect(sealed).not.toContain(text);
    const all = [{ ...made, url: request.url }];
    expect(await secretsNow(one)).toEqual({ found: all, errors: [] });

    // As an earlier version left it.
    await database.query('UPDATE webhooks SET url = $1, secret = $2, sealed_with = NULL', [request.url, made.secret]);
    const warnings: string[] = [];
    await openWebhooks(database, undefined, (text) => warnings.push(text));
    expect(warnings).toEqual([expect.stringContaining('in the clear')]);
    expect((await secretsNow()).found).toEqual(all);
    await Promise.all([openWebhooks(database, keysOf(one)), openWebhooks(database, keysOf(one))]);
    expect(await dump()).not.toContain(made.secret);
    expect((await secretsNow(one)).found).toEqual(all);

    // Rotation: both know both, the new one seals, the old one goes.
    await openWebhooks(database, keysOf(one, two));
    await openWebhooks(database, keysOf(two, one));
    expect(await database.query('SELECT DISTINCT sealed_with FROM webhooks')).toEqual([
      { sealed_with: two.split(' ')[0] },
    ]);
    expect((await secretsNow(two)).found).toEqual(all);
    const entries = await readEntries(database, { subject: 'webhooks' });
    expect(entries.map(({ event }) => event.action)).toEqual(['webhook.seal', 'webhook.seal']);
    expect(JSON.stringify(entries)).not.toContain('hidden');

    // A key that is lost.
    const told: string[] = [];
    const third = await openWebhooks(database, keysOf(one), (text) => told.push(text));
    expect(told).toEqual([expect.stringContaining(made.id)]);
    const other = await third.create(request, actor, 0);
    expect(await secretsNow(one)).toEqual({ found: [{ ...other, url: request.url }], errors: [made.id] });
    const views = await third.list();
    expect(views.find(({ id }) => id === made.id)?.trouble).toMatch(/is not among those of this server/);
    expect(views.find(({ id }) => id === other.id)?.url).toBe('https://hooks.bank.example/x?...');
    await third.remove(made.id, actor, 0);
    expect(await verifyLog(database)).toMatchObject({ findings: [] });
  });
});
