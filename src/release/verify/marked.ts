import type { ManifestDocument } from '../../manifest/index.ts';
import { ReleaseFault } from '../fault.ts';

/** A Job with this annotation is no part of what serves: it is run once that is ready, and says whether it does what it should. */
export const verifyAnnotation = 'banksman.local/verify';

/** A service's objects: those that serve, and the Jobs that verify them. */
export interface Marked {
  readonly served: readonly ManifestDocument[];
  readonly verification: readonly ManifestDocument[];
}

/**
 * Tells verification jobs from what is applied.
 *
 * @throws ReleaseFault release/bad-verification: the mark on another kind, or with another value than "true"
 */
export function splitVerification(documents: readonly ManifestDocument[]): Marked {
  const served: ManifestDocument[] = [];
  const verification: ManifestDocument[] = [];
  for (const document of documents) {
    const { apiVersion, kind, metadata } = document.object;
    const mark = metadata.annotations?.[verifyAnnotation];
    if (mark === undefined) {
      served.push(document);
      continue;
    }
    const place = document.locate(['metadata', 'annotations', verifyAnnotation]);
    if (mark !== 'true') {
      throw new ReleaseFault('release/bad-verification', `${verifyAnnotation} is ${JSON.stringify(mark)}, not "true"`, {
        place,
        next: 'write "true" in quotes, or leave the annotation out',
      });
    }
    if (kind !== 'Job' || !apiVersion.startsWith('batch/')) {
      throw new ReleaseFault('release/bad-verification', `${kind}/${metadata.name} can't verify: it is no Job`, {
        place,
        next: 'put the annotation on a Job of batch/v1, or leave it out',
      });
    }
    verification.push(document);
  }
  return { served, verification };
}
