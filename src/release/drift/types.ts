import type { Label } from '../../graph/index.ts';
import type { Holder } from './fields.ts';

/** A field as it is shown and kept: values are short texts, and those of Secrets are not among them. */
export interface ShownField {
  readonly path: string;
  /** Undefined where it should not be there. */
  readonly wanted?: string | undefined;
  /** Undefined where it is not there. */
  readonly found?: string | undefined;
  readonly by?: Holder | undefined;
}

/** An object that is not as its release says. */
export interface DriftedObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly change: 'changed' | 'deleted';
  readonly fields: readonly ShownField[];
  /** Milliseconds since the epoch: when it was first seen so. */
  readonly since: number;
  /** Why it is not put right. */
  readonly left?: string | undefined;
}

/** How a service in an environment differs from the release that it serves. */
export interface Drift {
  readonly service: Label;
  readonly environment: string;
  /** Id of the release. */
  readonly release: string;
  readonly objects: readonly DriftedObject[];
  /** When objects were put right, by object: what is fought over is left. Milliseconds since the epoch. */
  readonly corrections: Readonly<Record<string, readonly number[]>>;
}

/** `Deployment.apps/ledger`: an object of a release, in its namespace. */
export function objectKey({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }, name: string) {
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
  return `${kind}${group}/${name}`;
}
