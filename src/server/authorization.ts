import type { ReleaseKind } from '../release/index.ts';
import { ServerFault } from './fault.ts';

/** What a person may be. */
export const roles = [
  'viewer',
  'engineer',
  'platform-engineer',
  'release-manager',
  'administrator',
  'auditor',
] as const;
export type Role = (typeof roles)[number];

/** What a call does. */
export const actions = [
  'placement.read',
  'event.read',
  'release.add',
  'workspace.tell',
  'rollout.promote',
  'train.start',
  'rollout.rollback',
  'rollout.remove',
  'rollout.cancel',
  'rollout.emergency',
  'approval.give',
  'test.report',
  'emergency.review',
  'hold.begin',
  'hold.end',
  'audit.read',
  'token.read',
  'token.create',
  'token.revoke',
  'webhook.read',
  'webhook.change',
  'metrics.read',
] as const;
export type Action = (typeof actions)[number];

/** `own`: of the services that the person is an engineer of, if they are no infrastructure. `infrastructure`: of all that is. */
export type Right = 'yes' | 'own' | 'infrastructure' | 'no';

/**
 * Who may do what. What the platform is made of is changed by platform engineers, services by their own engineers. An administrator
 * gives out tokens and changes nothing that runs; a release manager changes what runs and gives out no tokens; an auditor reads
 * everything and changes nothing.
 */
export const rights: Readonly<Record<Action, Readonly<Record<Role, Right>>>> = {
  //                        viewer, engineer, platform-engineer, release-manager, administrator, auditor
  'placement.read': row('yes', 'yes', 'yes', 'yes', 'yes', 'yes'),
  'event.read': row('yes', 'yes', 'yes', 'yes', 'yes', 'yes'),
  'release.add': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  // Each service is looked at by itself as well.
  'workspace.tell': row('no', 'yes', 'yes', 'yes', 'no', 'no'),
  'rollout.promote': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  // Each of its cars is looked at by itself as well.
  'train.start': row('no', 'yes', 'yes', 'yes', 'no', 'no'),
  'rollout.rollback': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  'rollout.remove': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  'rollout.cancel': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  'rollout.emergency': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  'approval.give': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  'test.report': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  'emergency.review': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  'hold.begin': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  'hold.end': row('no', 'own', 'infrastructure', 'yes', 'no', 'no'),
  'audit.read': row('no', 'no', 'no', 'yes', 'no', 'yes'),
  'token.read': row('no', 'no', 'no', 'no', 'yes', 'yes'),
  'token.create': row('no', 'no', 'no', 'no', 'yes', 'no'),
  'token.revoke': row('no', 'no', 'no', 'no', 'yes', 'no'),
  'webhook.read': row('no', 'no', 'no', 'no', 'yes', 'yes'),
  'webhook.change': row('no', 'no', 'no', 'no', 'yes', 'no'),
  'metrics.read': row('yes', 'yes', 'yes', 'yes', 'yes', 'yes'),
};

function row(...cells: readonly [Right, Right, Right, Right, Right, Right]): Readonly<Record<Role, Right>> {
  return Object.fromEntries(roles.map((role, index) => [role, cells[index]])) as Record<Role, Right>;
}

/** Who calls, however they signed in. */
export interface Person {
  readonly name: string;
  readonly roles: readonly Role[];
  /** Labels of services that the person is an engineer of. */
  readonly services: readonly string[];
}

/** What a call is about. */
export interface Subject {
  readonly service: string;
  readonly kind: ReleaseKind;
}

/** Whether one of a person's roles allows an action, on a service where it is about one. */
export function isAllowed(person: Person, action: Action, subject?: Subject): boolean {
  return person.roles.some((role) => {
    const right = rights[action][role];
    if (right === 'yes' || subject === undefined) return right === 'yes';
    if (right === 'own') return subject.kind === 'service' && person.services.includes(subject.service);
    return right === 'infrastructure' && subject.kind === 'infrastructure';
  });
}

/** @throws ServerFault server/not-allowed */
export function requireRight(person: Person, action: Action, subject?: Subject): void {
  if (isAllowed(person, action, subject)) return;
  const about = subject === undefined ? '' : ` of ${subject.service}`;
  const notes = subject?.kind === 'infrastructure' ? [`${subject.service} is infrastructure`] : [];
  throw new ServerFault('server/not-allowed', `${person.name} may not do ${action}${about}`, {
    notes,
    next: `ask for a role that may; yours: ${person.roles.join(', ')}`,
  });
}
