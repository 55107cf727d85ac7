import { Fault } from '../fault/index.ts';

/** What can be wrong with a manifest. */
export class ManifestFault extends Fault<
  | 'manifest/bad-yaml'
  | 'manifest/ambiguous-value'
  | 'manifest/too-large'
  | 'manifest/empty'
  | 'manifest/missing-field'
  | 'manifest/bad-field'
  | 'manifest/list'
  | 'manifest/duplicate-object'
  | 'manifest/wrong-namespace'
  | 'manifest/unlisted-image'
  | 'manifest/unused-image'
  | 'manifest/bad-image'
  | 'manifest/unpinned-image'
  | 'manifest/unresolved-image'
  | 'manifest/bad-bundle'
  | 'manifest/bad-patch'
  | 'manifest/no-patch-target'
  | 'manifest/unknown-parameter'
> {}

/** The first by place, with the rest among its `others`. */
export function throwFirst(faults: readonly ManifestFault[]): void {
  const [first, ...others] = faults;
  if (first === undefined) return;
  if (others.length === 0) throw first;
  const { place, next, notes, related, cause } = first;
  throw new ManifestFault(first.code, first.message, { place, next, notes, related, cause, others });
}
