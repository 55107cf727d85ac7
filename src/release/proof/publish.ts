import {
  attachBundle,
  attachStatements,
  collectProofs,
  type Descriptor,
  type Digest,
  digestOf,
  formatStatement,
  inParallel,
  openProofRepository,
  ProofFault,
  type ProofRepository,
  parseReference,
  predicateTypes,
  type Source,
  type Statement,
  tagStatements,
} from '../../image/index.ts';
import type { Progress } from '../../progress/index.ts';
import type { WorkspaceBuilder } from '../building/builder.ts';
import { editedPaths } from '../origin.ts';
import { type RegistryReach, reachOf } from '../push.ts';
import type { BuiltImage } from '../types.ts';
import type { ReviewSource } from './reviews.ts';
import type { ProofSettings } from './settings.ts';
import { sourceOf } from './source.ts';
import { signatureStatement, statementsOf } from './statements.ts';

export interface PublishOptions extends RegistryReach {
  readonly builder: WorkspaceBuilder;
  readonly settings: ProofSettings;
  /** What is said: that images are meant, or that and how they came to be. */
  readonly say?: 'signature' | 'all';
  /** None unless told. */
  readonly reviews?: ReviewSource | undefined;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** What was put beside one image. */
export interface Published {
  readonly reference: string;
  readonly digest: Digest;
  /** Digests of the manifests that were sent; empty where all of it was there. */
  readonly sent: readonly Digest[];
  /**
   * Digests of the manifests that hold what the key has said of the image, now or before; the same for as long as they are in the
   * registry. Reviews are not among them: they may come later.
   */
  readonly statements: readonly Digest[];
}

/** Images that are signed at a time: a key service and a registry are waited for, and have their limits. */
const atOnce = 4;

/**
 * Signs images that are in a registry, with what the builder knows of them, and puts all of it beside them. What was said before
 * by the same key is not said again.
 *
 * @param images pushed, with the reference that each has there
 * @throws ProofFault proof/signer-failed, proof/refused where another image is there; ImageFault where there is none
 */
export async function publishProofs(
  images: readonly { readonly image: BuiltImage; readonly reference: string }[],
  options: PublishOptions,
): Promise<Published[]> {
  const { builder, settings, say = 'all', progress, signal } = options;
  const source = await sourceOf(builder.workspace.root, signal);
  if (say === 'all' && source.edits) await tellOfEdits(builder.workspace.root, options);
  const published = new Map<string, Published>();
  await inParallel(images, atOnce, async ({ image, reference }) => {
    const task = progress.begin(`sign ${image.repository}`);
    try {
      const statements =
        say === 'signature' ? [signatureStatement(image)] : await statementsOf({ builder, image, source, settings });
      const proofs = await withSubject(reference, image.digest, options, async (repository, subject) => {
        const own = await attachAll(repository, subject, statements, settings);
        const reviews = say === 'all' ? await attachReviews(repository, subject, source, options.reviews) : [];
        const said = await statementsBy(repository, subject, statements, settings);
        return { sent: [...own, ...reviews], statements: said };
      });
      published.set(reference, proofs);
      task.done();
    } catch (error) {
      task.fail();
      throw error;
    }
  });
  return images.flatMap(({ reference }) => published.get(reference) ?? []);
}

/** A key that was made in the workspace is enough; what comes of it is only seen when a policy refuses the image. */
async function tellOfEdits(root: string, { progress, signal }: PublishOptions): Promise<void> {
  const [first, ...others] = await editedPaths(root, signal);
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` and ${others.length} more`;
  progress.say(
    `warning: the provenance says that files differed from the commit (${first}${more}); policies refuse that unless they say edits: true`,
  );
}

/** Signs an image by its name in a registry, whoever built it. @throws ProofFault, ImageFault */
export async function signReference(
  reference: string,
  options: Pick<PublishOptions, 'settings' | 'registry' | 'registries' | 'signal'>,
): Promise<Published> {
  return withSubject(reference, undefined, options, async (repository, subject) => {
    const name = parseReference(reference).repository;
    const statement = signatureStatement({ repository: name, digest: subject.digest });
    const sent = await attachAll(repository, subject, [statement], options.settings);
    return { sent, statements: await statementsBy(repository, subject, [statement], options.settings) };
  });
}

async function withSubject(
  reference: string,
  expected: string | undefined,
  options: RegistryReach & Pick<PublishOptions, 'signal'>,
  body: (repository: ProofRepository, subject: Descriptor) => Promise<Pick<Published, 'sent' | 'statements'>>,
): Promise<Published> {
  const parsed = parseReference(reference);
  const access = { ...(await reachOf(reference, options)), signal: options.signal };
  const repository = await openProofRepository(parsed, 'pull,push', access);
  try {
    const { digest, mediaType, bytes } = await repository.manifest(parsed.digest ?? parsed.tag ?? 'latest');
    if (expected !== undefined && digest !== expected) {
      throw new ProofFault(
        'proof/refused',
        `${reference} is ${digest} in the registry, not ${expected}, which was built`,
        {
          next: 'find out who pushed another image under this tag',
        },
      );
    }
    return { reference, digest, ...(await body(repository, { mediaType, digest, size: bytes.length })) };
  } finally {
    repository.close();
  }
}

async function attachAll(
  repository: ProofRepository,
  subject: Descriptor,
  statements: readonly Statement[],
  { signer, cosign2 }: ProofSettings,
): Promise<Digest[]> {
  const bundles = await attachStatements(repository, subject, statements, signer);
  return cosign2 ? [...bundles, ...(await tagStatements(repository, subject, statements, signer))] : bundles;
}

/** Where statements stand that the signer has made of an image: the first manifest of each, in the order of their digests. */
async function statementsBy(
  repository: ProofRepository,
  subject: Descriptor,
  statements: readonly Statement[],
  { signer }: ProofSettings,
): Promise<Digest[]> {
  const wanted = new Set(statements.map((statement) => formatStatement(statement).toString('base64')));
  const key = new Map([['signer', signer.publicKey]]);
  const found = new Map<string, Digest>();
  const { proofs } = await collectProofs(repository, subject.digest);
  for (const { digest, form, payload, signedBy } of proofs.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))) {
    const said = payload.toString('base64');
    if (form !== 'bundle' || !wanted.has(said) || found.has(said) || signedBy(key).length === 0) continue;
    found.set(said, digest);
  }
  return [...found.values()].sort();
}

/** Brings the reviews of the commit to where whoever verifies will look for them. */
async function attachReviews(
  repository: ProofRepository,
  subject: Descriptor,
  { commit, edits }: Source,
  reviews: ReviewSource | undefined,
): Promise<Digest[]> {
  if (commit === undefined || edits || reviews === undefined) return [];
  const bundles = await reviews(commit);
  if (bundles.length === 0) return [];
  const { proofs } = await collectProofs(repository, subject.digest);
  const there = new Set(proofs.map((proof) => proof.bundle));
  const sent: Digest[] = [];
  for (const bundle of bundles) {
    if (there.has(digestOf(bundle))) continue;
    sent.push(await attachBundle(repository, subject, bundle, predicateTypes.review));
  }
  return sent;
}
