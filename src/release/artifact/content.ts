import type { Label } from '../../graph/index.ts';
import type { ManifestBundle } from '../../manifest/index.ts';
import { type ReleaseKind, usualKind } from '../kind.ts';

/** What a release is: everything that is needed to bring it into any environment, and to say where it comes from. */
export interface ReleaseContent {
  /** Manifests as they are written, with patches, images by label and parameters open. */
  readonly bundle: ManifestBundle;
  /** Of every label that the manifests name. */
  readonly images: readonly ReleaseImage[];
  /** The commit that it was made at. */
  readonly commit: string;
  /** `Name <mail>`, of the commit and of those that it brings along. */
  readonly authors: readonly string[];
  /** Who approved the change. */
  readonly reviewers: readonly string[];
  /** Digests of what was stated about the images: provenance, bills of materials, signatures. */
  readonly provenance: readonly Statement[];
}

export interface ReleaseImage {
  readonly label: Label;
  /** `bank/ledger` */
  readonly repository: string;
  readonly tag: string;
  /** `sha256:...` of the manifest or index. */
  readonly digest: string;
}

export interface Statement {
  /** Digest of the image. */
  readonly subject: string;
  /** Digest of the manifest that holds the statement. */
  readonly statement: string;
}

/** Of the two kinds, the one that a release is of. */
export function kindOf({ bundle }: Pick<ReleaseContent, 'bundle'>): ReleaseKind {
  return bundle.kind ?? usualKind(bundle.service);
}

/** The same content in one order: lists that are sets are sorted, and hold nothing twice. */
export function inOneOrder(content: ReleaseContent): ReleaseContent {
  const texts = (list: readonly string[]) => [...new Set(list)].sort();
  const { bundle, images, commit, authors, reviewers, provenance } = content;
  const statements = new Map(provenance.map((each) => [`${each.subject} ${each.statement}`, each]));
  return {
    bundle,
    images: images
      .map(({ label, repository, tag, digest }) => ({ label, repository, tag, digest }))
      .sort((a, b) => (a.label < b.label ? -1 : 1)),
    commit,
    authors: texts(authors),
    reviewers: texts(reviewers),
    provenance: [...statements.keys()].sort().map((key) => {
      const { subject, statement } = statements.get(key) as Statement;
      return { subject, statement };
    }),
  };
}
