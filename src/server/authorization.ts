/** What a person may be. */
export const roles = ['viewer', 'engineer', 'release-manager', 'administrator', 'auditor'] as const;
export type Role = (typeof roles)[number];

/** What a call does. */
export const actions = [
  'placement.read',
  'event.read',
  'release.add',
  'rollout.promote',
  'rollout.rollback',
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
  'metrics.read',
] as const;
export type Action = (typeof actions)[number];

/** `own`: of the services that the person is an engineer of. */
export type Right = 'yes' | 'own' | 'no';

/**
 * Who may do what. An administrator gives out tokens and changes nothing that runs; a release manager changes what runs and gives out no
 * tokens; an auditor reads everything and changes nothing.
 */
export const rights: Readonly<Record<Action, Readonly<Record<Role, Right>>>> = {
  'placement.read': { viewer: 'yes', engineer: 'yes', 'release-manager': 'yes', administrator: 'yes', auditor: 'yes' },
  'event.read': { viewer: 'yes', engineer: 'yes', 'release-manager': 'yes', administrator: 'yes', auditor: 'yes' },
  'release.add': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'rollout.promote': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'rollout.rollback': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'rollout.cancel': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'rollout.emergency': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'approval.give': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'test.report': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'emergency.review': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'hold.begin': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'hold.end': { viewer: 'no', engineer: 'own', 'release-manager': 'yes', administrator: 'no', auditor: 'no' },
  'audit.read': { viewer: 'no', engineer: 'no', 'release-manager': 'yes', administrator: 'no', auditor: 'yes' },
  'token.read': { viewer: 'no', engineer: 'no', 'release-manager': 'no', administrator: 'yes', auditor: 'yes' },
  'token.create': { viewer: 'no', engineer: 'no', 'release-manager': 'no', administrator: 'yes', auditor: 'no' },
  'token.revoke': { viewer: 'no', engineer: 'no', 'release-manager': 'no', administrator: 'yes', auditor: 'no' },
  'metrics.read': { viewer: 'yes', engineer: 'yes', 'release-manager': 'yes', administrator: 'yes', auditor: 'yes' },
};

/** Who calls, however they signed in. */
export interface Person {
  readonly name: string;
  readonly roles: readonly Role[];
  /** Labels of services that the person is an engineer of. */
  readonly services: readonly string[];
}

/** Whether one of a person's roles allows an action, on a service where it is about one. */
export function isAllowed(person: Person, action: Action, service?: string): boolean {
  return person.roles.some((role) => {
    const right = rights[action][role];
    return right === 'yes' || (right === 'own' && service !== undefined && person.services.includes(service));
  });
}
