import type { Environment, Label } from '../graph/index.ts';
import type { Progress } from '../progress/index.ts';
import { pushRelease, type ReleaseContent } from './artifact/index.ts';
import type { WorkspaceBuilder } from './building/builder.ts';
import { ReleaseFault } from './fault.ts';
import { originOf } from './origin.ts';
import { peopleOf } from './people.ts';
import { type PublishOptions, publishProofs } from './proof/publish.ts';
import { pushImages, registryTransport, workspaceRegistries } from './push.ts';
import { bundlesOf } from './render.ts';
import type { ClusterAccess } from './types.ts';

export interface MakeReleasesOptions {
  readonly builder: WorkspaceBuilder;
  readonly labels: readonly Label[];
  /** Whose registry the releases go to. */
  readonly environment: Environment;
  /** How that registry is reached. */
  readonly cluster: ClusterAccess;
  readonly progress: Progress;
  /** With what images are signed, and who says so; not at all where there is no key. */
  readonly proof?: Pick<PublishOptions, 'settings' | 'reviews'> | undefined;
  readonly signal?: AbortSignal;
}

export interface MadeRelease {
  readonly service: Label;
  /** `sha256:...` */
  readonly release: string;
  /** `registry.local/releases/bank/ledger@sha256:...` */
  readonly reference: string;
}

/**
 * Makes a release of each service at the commit that the work tree stands on, and puts it into the registry with its images.
 * Done again at the same commit it gives the same names and sends nothing.
 *
 * @throws ReleaseFault release/uncommitted where files differ from the commit; what building and pushing throw
 */
export async function makeReleases(options: MakeReleasesOptions): Promise<MadeRelease[]> {
  const { builder, labels, environment, cluster, progress, signal } = options;
  const { root } = builder.workspace;
  const { commit, dirty } = await originOf(root, signal);
  if (commit === undefined || dirty) {
    const why = commit === undefined ? 'there is no commit' : 'files differ from the commit';
    throw new ReleaseFault('release/uncommitted', `a release is made from a commit, and ${why}`, {
      next: 'commit first; `banksman deploy` takes files as they are',
    });
  }
  const [bundles, people] = await Promise.all([bundlesOf(builder, labels), peopleOf(root, commit, signal)]);
  const wanted = [...new Set(bundles.flatMap(({ containers }) => containers))].sort();
  const images = new Map((await builder.images(wanted)).map((image) => [image.label, image]));
  const named = [...images.values()].map((image) => {
    return { image, layout: image.layout, reference: `${environment.registry}/${image.repository}:${image.tag}` };
  });
  const { registry } = cluster;
  const registries = await workspaceRegistries(builder.workspace);
  await pushImages(named, registry, { registries, progress, signal });
  const published =
    options.proof === undefined
      ? []
      : await publishProofs(named, { ...options.proof, builder, registry, registries, progress, signal });
  const stated = new Map(published.map(({ digest, statements }) => [digest as string, statements]));
  const isOwn = cluster.registry?.name === environment.registry.split('/')[0];
  const transport = isOwn && cluster.registry ? await registryTransport(cluster.registry) : undefined;
  return await Promise.all(
    bundles.map(async (bundle) => {
      const own = bundle.containers.flatMap((label) => images.get(label) ?? []);
      const content: ReleaseContent = {
        bundle,
        images: own,
        commit,
        ...people,
        provenance: own.flatMap(({ digest }) =>
          (stated.get(digest) ?? []).map((statement) => ({ subject: digest, statement })),
        ),
      };
      const access = { ...(transport && { transport }), ...(signal && { signal }) };
      const { reference, digest } = await pushRelease(environment.registry, content, access);
      return { service: bundle.service, release: digest, reference };
    }),
  );
}
