import { describe, expect, it } from 'vitest';
import { type Action, actions, isAllowed, type Role, roles, type Subject } from './authorization.ts';

const own: Subject = { service: '//bank/ledger:ledger', kind: 'service' };
const other: Subject = { service: '//bank/gateway:gateway', kind: 'service' };
const infrastructure: Subject = { service: '//platform/dns:dns', kind: 'infrastructure' };

/** Written out by hand, in the order of roles (viewer, engineer, platform-engineer, ...): y yes, o own, i infrastructure, - no. */
const expected: Readonly<Record<Action, string>> = {
  'placement.read': 'yyyyyy',
  'event.read': 'yyyyyy',
  'release.add': '-oiy--',
  'workspace.tell': '-yyy--',
  'rollout.promote': '-oiy--',
  'train.start': '-yyy--',
  'rollout.rollback': '-oiy--',
  'rollout.remove': '-oiy--',
  'rollout.cancel': '-oiy--',
  'rollout.emergency': '-oiy--',
  'approval.give': '-oiy--',
  'test.report': '-oiy--',
  'emergency.review': '-oiy--',
  'hold.begin': '-oiy--',
  'hold.end': '-oiy--',
  'audit.read': '---y-y',
  'token.read': '----yy',
  'token.create': '----y-',
  'token.revoke': '----y-',
  'webhook.read': '----yy',
  'webhook.change': '----y-',
  'metrics.read': 'yyyyyy',
};

const cells = actions.flatMap((action) =>
  roles.map((role, index): [Action, Role, string] => [action, role, expected[action][index] as string]),
);

describe('a right', () => {
  it.each(cells)('%s of a %s is %s', (action, role, right) => {
    const person = { name: 'ada', roles: [role], services: [own.service, infrastructure.service] };
    expect(isAllowed(person, action, own)).toBe(right === 'y' || right === 'o');
    expect(isAllowed(person, action, other)).toBe(right === 'y');
    // Who is an engineer of a service changes no infrastructure, even where it is named.
    expect(isAllowed(person, action, infrastructure)).toBe(right === 'y' || right === 'i');
    expect(isAllowed(person, action)).toBe(right === 'y');
  });

  it('adds up over roles, and nobody has one without a role', () => {
    expect(isAllowed({ name: 'ada', roles: ['viewer', 'auditor'], services: [] }, 'audit.read')).toBe(true);
    for (const action of actions)
      expect(isAllowed({ name: 'ada', roles: [], services: [own.service] }, action, own)).toBe(false);
  });
});
