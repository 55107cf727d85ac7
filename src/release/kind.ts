import type { Label } from '../graph/index.ts';

/** Two kinds of release: what serves customers, and what the platform below it is made of. They are told apart everywhere. */
export type ReleaseKind = 'service' | 'infrastructure';

/** The kind of a service that says none: everything under `platform/` is infrastructure. */
export function usualKind(service: Label): ReleaseKind {
  return /^\/\/platform[/:]/.test(service) ? 'infrastructure' : 'service';
}
