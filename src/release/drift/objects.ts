import type { Environment, Label } from '../../graph/index.ts';
import type { KubeObject } from '../../kube/index.ts';
import type { ReleaseContent } from '../artifact/index.ts';
import type { PlacementStore } from '../placement/index.ts';
import { renderBundle } from '../render.ts';
import { splitVerification } from '../verify/index.ts';

/** What a release makes of a service in an environment: the objects that serve, as a rollout applies them. */
export function releaseObjects(
  store: Pick<PlacementStore, 'release'>,
  fetchRelease: (reference: string, signal: AbortSignal) => Promise<ReleaseContent>,
): (service: Label, environment: Environment, release: string, signal: AbortSignal) => Promise<readonly KubeObject[]> {
  return async (_, environment, id, signal) => {
    const release = await store.release(id);
    // Nothing is rolled out of which nobody knows what it is.
    if (release === undefined) throw new Error(`nothing is known of release ${id}`);
    const content = await fetchRelease(release.reference, signal);
    const { documents } = renderBundle(content.bundle, content.images, environment);
    return splitVerification(documents).served.map(({ object }) => object as unknown as KubeObject);
  };
}
