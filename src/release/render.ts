import { readFile } from 'node:fs/promises';
import { nearest, type Place } from '../fault/index.ts';
import { type Environment, findTarget, type Label, splitLabel, type Target, type Workspace } from '../graph/index.ts';
import { type ManifestBundle, parseBundle, type RenderedManifests, renderManifests } from '../manifest/index.ts';
import type { WorkspaceBuilder } from './building/builder.ts';
import { ReleaseFault } from './fault.ts';
import { checkProofs, type ProofCheck, policyOf } from './proof/check.ts';
import { workspaceRegistries } from './push.ts';
import type { BuiltImage, ReleasedImage } from './types.ts';

/** A service's manifests for one environment, with what went into them. */
export interface RenderedService extends RenderedManifests {
  readonly service: Label;
  /** Those that the manifests name, sorted by label. */
  readonly images: readonly ReleasedImage[];
  readonly built: readonly BuiltImage[];
}

/**
 * What `banksman render` prints: the service's manifests with every image resolved. Needs no cluster. Where the environment has a
 * policy, the images must be in the registry and fulfil it, as for a deploy.
 *
 * @throws ReleaseFault release/not-a-service; ManifestFault; ProofFault proof/refused; what building throws
 */
export async function renderService(
  builder: WorkspaceBuilder,
  label: Label,
  options: Omit<ProofCheck, 'workspaceRoot' | 'registries'>,
): Promise<string> {
  const [rendered] = await renderServices(builder, [label], options.environment);
  if (rendered === undefined) return '';
  const { workspace } = builder;
  const registries = await workspaceRegistries(workspace);
  await checkProofs([rendered], { ...options, registries, workspaceRoot: workspace.root });
  return rendered.text;
}

/** Several at once: their bundles and images are built in one run. */
export async function renderServices(
  builder: WorkspaceBuilder,
  labels: readonly Label[],
  environment: Environment,
): Promise<RenderedService[]> {
  const bundles = await bundlesOf(builder, labels);
  const wanted = [...new Set(bundles.flatMap(({ containers }) => containers))].sort();
  const images = new Map((await builder.images(wanted)).map((image) => [image.label, image]));
  return bundles.map((bundle) => {
    const { service, containers } = bundle;
    const target = findTarget(builder.graph, service);
    checkSets(Object.keys(bundle.patches ?? {}), builder.workspace, target);
    const built = containers.flatMap((label) => images.get(label) ?? []);
    const rendered = renderBundle(bundle, built, environment, target.place);
    return { ...rendered, service, images: referencesOf(built, environment), built };
  });
}

/**
 * What a service's manifests are in an environment: parameters, patches and images are put in.
 *
 * @param place where the service is defined, where that is known
 */
export function renderBundle(
  { service, containers, files, patches = {} }: ManifestBundle,
  images: readonly NamedImage[],
  environment: Environment,
  place?: Place,
): RenderedManifests {
  const references = new Map(images.map((image) => [image.label, referenceOf(image, environment)]));
  return renderManifests(files, references, {
    package: splitLabel(service).package,
    containers,
    namespace: environment.namespace,
    parameters: environment.parameters,
    patches: setsOf(environment).flatMap((set) => (Object.hasOwn(patches, set) ? (patches[set] ?? []) : [])),
    ...(place !== undefined && { place }),
  });
}

/** Images as an environment's manifests name them, sorted by label. */
export function referencesOf(images: readonly NamedImage[], environment: Environment): ReleasedImage[] {
  return images
    .map((image) => ({ label: image.label, reference: referenceOf(image, environment), digest: image.digest }))
    .sort((a, b) => (a.label < b.label ? -1 : 1));
}

/** What a reference to an image is made of. */
type NamedImage = Pick<BuiltImage, 'label' | 'repository' | 'tag' | 'digest'>;

/** Names of the sets of patches that an environment applies, in their order. */
function setsOf({ name, patches }: Environment): readonly string[] {
  return patches ?? [name];
}

/** A set that no environment applies is a name that somebody mistyped. */
function checkSets(sets: readonly string[], { environments }: Workspace, { label, place }: Target): void {
  const known = [...new Set([...environments.values()].flatMap(setsOf))];
  const unknown = sets.find((set) => !known.includes(set));
  if (unknown === undefined) return;
  const meant = nearest(unknown, known);
  throw new ReleaseFault('release/unknown-patch-set', `${label} has patches ${unknown}, which no environment applies`, {
    place,
    next:
      meant === undefined
        ? `name the set after an environment, or add it to the patches of one in banksman.yaml`
        : `did you mean ${meant}?`,
  });
}

/** `registry.local/bank/ledger:0123456789ab`; with the digest behind it where a policy asks what runs: a tag can be moved. */
function referenceOf({ repository, tag, digest }: NamedImage, environment: Environment): string {
  const reference = `${environment.registry}/${repository}:${tag}`;
  return policyOf(environment) === undefined ? reference : `${reference}@${digest}`;
}

export async function bundlesOf(builder: WorkspaceBuilder, labels: readonly Label[]): Promise<ManifestBundle[]> {
  for (const label of labels) {
    const { action, place, rule } = findTarget(builder.graph, label);
    if (action.kind === 'builtin' && action.name === 'k8s_config') continue;
    throw new ReleaseFault('release/not-a-service', `${label} is no service, but a ${rule}`, {
      place,
      next: 'name a k8s_config target; `banksman query targets //...` lists all',
    });
  }
  const { targets, failures } = await builder.build(labels);
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  return await Promise.all(
    labels.map(async (label) => {
      const file = targets.get(label)?.outputs[0];
      if (file === undefined) {
        throw new ReleaseFault('release/bad-rule', `${label} has no output`, {
          place: findTarget(builder.graph, label).place,
        });
      }
      return parseBundle(await readFile(file.absolute, 'utf8'), file.path);
    }),
  );
}
