import type { Label } from '../../graph/index.ts';
import type { RegistrySettings } from '../../image/index.ts';
import type { Progress } from '../../progress/index.ts';
import type { WorkspaceBuilder } from '../building/builder.ts';
import { releaseId } from '../cluster/record.ts';
import { ensureNamespace, openSession } from '../cluster/session.ts';
import { usualKind } from '../kind.ts';
import { originOf } from '../origin.ts';
import { checkProofs } from '../proof/check.ts';
import { type PublishOptions, publishProofs } from '../proof/publish.ts';
import { pushImages, workspaceRegistries } from '../push.ts';
import { type RenderedService, renderServices } from '../render.ts';
import type { ClusterAccess, DeployEvent, Environment, Origin, Release, ServiceDeployment } from '../types.ts';
import { whoAmI } from '../who.ts';
import { passGates } from './gate-check.ts';
import { rollOut } from './rollout.ts';

export interface RolloutOptions {
  readonly environment: Environment;
  readonly cluster: ClusterAccess;
  readonly progress: Progress;
  /** Called for each change of a service's state. */
  readonly observe?: (event: DeployEvent) => void;
  /** Seconds until a rollout that is not healthy counts as failed; 120 unless told, or a manifest's progressDeadlineSeconds. */
  readonly deadline?: number;
  /** Take over fields that another field manager holds. */
  readonly force?: boolean;
  /** Why it is to go on although images do not fulfil the environment's policy; kept in the history. */
  readonly breakGlass?: string | undefined;
  readonly signal?: AbortSignal;
}

export interface DeployOptions extends RolloutOptions {
  readonly builder: WorkspaceBuilder;
  /** All services unless told. */
  readonly labels?: readonly Label[];
  /** With what images are signed, and who says so; not at all where there is no key. */
  readonly proof?: Pick<PublishOptions, 'settings' | 'reviews'> | undefined;
}

/**
 * Builds, pushes, renders, applies and waits, for several services at once. There is no order among services: one whose needs
 * are not there yet becomes ready later.
 *
 * @returns how each ended, in the order of the labels; a rollout that fails is no thrown error
 * @throws what stops everything: a build that fails, a gate that is shut, a cluster or registry that can't be reached
 */
export async function deploy(options: DeployOptions): Promise<ServiceDeployment[]> {
  const { builder, environment, progress, signal } = options;
  const services = builder.services();
  const labels = options.labels ?? services.map(({ label }) => label);
  const session = await openSession(options.cluster, environment, signal);
  try {
    const [rendered, origin] = await Promise.all([
      renderServices(builder, labels, environment),
      originOf(builder.workspace.root, signal),
      ensureNamespace(session, signal),
    ]);
    const releases = rendered.map((service) => releaseOf(service, origin));
    const gates = { ...environment, gates: environment.gates?.filter(({ kind }) => kind !== 'provenance') ?? [] };
    await Promise.all(releases.map((release) => passGates({ environment: gates, release, by: whoAmI(), signal })));
    const { registry } = options.cluster;
    const registries = await workspaceRegistries(builder.workspace);
    await pushImages(layoutsOf(rendered), registry, { registries, progress, signal });
    // What is said of images stands beside them in the registry, where it is then looked for as by anybody else.
    await publishFor(rendered, options, registries);
    const { breakGlass } = options;
    const workspaceRoot = builder.workspace.root;
    const proofs = await checkProofs(rendered, {
      environment,
      workspaceRoot,
      registry,
      registries,
      breakGlass,
      progress,
      signal,
    });
    return await all(
      rendered.map(async (service, index) => {
        const found = services.find(({ label }) => label === service.service);
        return await rollOut({
          service: found ?? {
            label: service.service,
            name: service.service.slice(2),
            owner: undefined,
            kind: usualKind(service.service),
          },
          release: releases[index] as Release,
          documents: service.documents,
          kind: 'deploy',
          proof: proofs[index],
          cluster: session.cluster,
          namespace: session.namespace,
          store: session.store,
          mirror: session.mirror,
          deadline: options.deadline ?? deadlineOf(environment),
          force: options.force ?? false,
          observe: options.observe ?? (() => {}),
          signal,
        });
      }),
    );
  } finally {
    session.close();
  }
}

async function publishFor(
  rendered: readonly RenderedService[],
  options: DeployOptions,
  registries: RegistrySettings | undefined,
): Promise<void> {
  const { builder, proof, progress, signal } = options;
  if (proof === undefined) return;
  const images = new Map(
    rendered.flatMap(({ built, images }) =>
      built.flatMap((image) => {
        const reference = images.find(({ label }) => label === image.label)?.reference;
        return reference === undefined ? [] : [[reference, { image, reference }] as const];
      }),
    ),
  );
  const { registry } = options.cluster;
  await publishProofs([...images.values()], { ...proof, builder, registry, registries, progress, signal });
}

/** Seconds. */
function deadlineOf({ deadline }: Environment): number | undefined {
  return deadline === undefined ? undefined : deadline / 1000;
}

function releaseOf(rendered: RenderedService, origin: Origin): Release {
  const content = { service: rendered.service, manifests: rendered.text, images: rendered.images };
  return { id: releaseId(content), ...content, origin, createdAt: new Date().toISOString() };
}

function layoutsOf(rendered: readonly RenderedService[]) {
  return rendered.flatMap(({ built, images }) =>
    built.flatMap(({ label, layout }) => {
      const reference = images.find((image) => image.label === label)?.reference;
      return reference === undefined ? [] : [{ layout, reference }];
    }),
  );
}

/** Waits for all before it throws: a service that can't go on must not stop another in the middle of its record. */
async function all<Result>(work: readonly Promise<Result>[]): Promise<Result[]> {
  const ended = await Promise.allSettled(work);
  return ended.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
}
