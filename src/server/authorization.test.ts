import { describe, expect, it } from 'vitest';
import { type Action, actions, isAllowed, type Role, roles } from './authorization.ts';

const own = '//bank/ledger:ledger';
const other = '//bank/gateway:gateway';

/** Written out by hand, in the order viewer, engineer, release-manager, administrator, auditor: y yes, o own, - no. */
const expected: Readonly<Record<Action, string>> = {
  'placement.read': 'yyyyy',
  'event.read': 'yyyyy',
  'release.add': '-oy--',
  'rollout.promote': '-oy--',
  'rollout.rollback': '-oy--',
  'rollout.cancel': '-oy--',
  'rollout.emergency': '-oy--',
  'approval.give': '-oy--',
  'test.report': '-oy--',
  'emergency.review': '-oy--',
  'hold.begin': '-oy--',
  'hold.end': '-oy--',
  'audit.read': '--y-y',
  'token.read': '---yy',
  'token.create': '---y-',
  'token.revoke': '---y-',
  'metrics.read': 'yyyyy',
};

const cells = actions.flatMap((action) =>
  roles.map((role, index): [Action, Role, string] => [action, role, expected[action][index] as string]),
);

describe('a right', () => {
  it.each(cells)('%s of a %s is %s', (action, role, right) => {
    const person = { name: 'ada', roles: [role], services: [own] };
    expect(isAllowed(person, action, own)).toBe(right !== '-');
    expect(isAllowed(person, action, other)).toBe(right === 'y');
    expect(isAllowed(person, action)).toBe(right === 'y');
  });

  it('adds up over roles, and nobody has one without a role', () => {
    expect(isAllowed({ name: 'ada', roles: ['viewer', 'auditor'], services: [] }, 'audit.read')).toBe(true);
    for (const action of actions)
      expect(isAllowed({ name: 'ada', roles: [], services: [own] }, action, own)).toBe(false);
  });
});
