import type { IncomingHttpHeaders } from 'node:http';
import { type FieldCause, KubeFault } from './fault.ts';
import type { ApiRequest } from './types.ts';

/** The fault that a refusal of the API server is (metav1.Status, Kubernetes API conventions "Response Status Kind"). */
export function faultOfAnswer(
  request: ApiRequest,
  status: number,
  headers: IncomingHttpHeaders,
  text: string,
): KubeFault {
  const answer = parseStatus(text);
  const message = answer.message ?? (text.trim().slice(0, 300) || `the API server answered ${status}`);
  const asked = `${request.method ?? 'GET'} ${request.path}`;
  // Server-side apply answers 500 to a field of an unknown name or a wrong type, although the mistake is the manifest's.
  if (message.startsWith(untyped)) return invalid(message, answer);
  switch (status) {
    case 401:
      return new KubeFault('kube/unauthorized', 'the API server does not accept these credentials', {
        notes: [message],
        next: 'sign in again; for the local cluster `banksman up` makes new certificates',
      });
    case 403:
      return new KubeFault('kube/forbidden', message, {
        next: 'ask for a role that allows this, or use another context',
      });
    case 404:
      return new KubeFault('kube/not-found', answer.message ?? `${request.path} does not exist`, { notes: [asked] });
    case 409:
      return conflict(message, answer);
    case 410:
      return new KubeFault('kube/gone', message, { notes: [asked] });
    case 400:
    case 422:
    case 415:
      return invalid(message, answer);
    case 429:
      return new KubeFault('kube/throttled', 'the API server is overloaded', {
        notes: [message],
        retryAfter: seconds(headers['retry-after']) ?? 1,
        next: 'try again in a moment',
      });
    default:
      // Internal errors repeat; unavailability and proxies' errors pass. Retry-After says so itself.
      return new KubeFault('kube/server-error', `the API server failed: ${message}`, {
        notes: [`${asked}: ${status}`],
        retryAfter: seconds(headers['retry-after']) ?? ([502, 503, 504].includes(status) ? 1 : undefined),
        next: 'see the API server: kubectl get --raw /readyz?verbose',
      });
  }
}

/** The fault that a connection's failure is. */
export function faultOfConnection(error: NodeJS.ErrnoException, server: URL, request: ApiRequest): Error {
  if (request.signal?.aborted) return request.signal.reason as Error;
  const code = error.code ?? '';
  if (/^(?:CERT_|ERR_TLS_CERT|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH)/.test(code)) {
    return new KubeFault('kube/untrusted', `${server.host} shows a certificate that is not trusted: ${error.message}`, {
      cause: error,
      next: 'see certificate-authority of this cluster in the kubeconfig',
    });
  }
  if (/SSL|TLS/.test(code) && /certificate|handshake|alert/i.test(error.message)) {
    return new KubeFault('kube/unauthorized', `${server.host} refuses the client certificate: ${error.message}`, {
      cause: error,
      next: 'sign in again; for the local cluster `banksman up` makes new certificates',
    });
  }
  return new KubeFault('kube/unreachable', `the cluster at ${server.host} can't be reached: ${error.message}`, {
    cause: error,
    next: 'start the local cluster with `banksman up`, or see whether the address in the kubeconfig is right',
  });
}

interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: {
    readonly kind?: string;
    readonly name?: string;
    readonly causes: readonly { readonly reason: string; readonly message: string; readonly field: string }[];
  };
}

function parseStatus(text: string): Status {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {};
  }
  if (!isRecord(value) || value.kind !== 'Status') return {};
  const details = isRecord(value.details) ? value.details : undefined;
  const causes = Array.isArray(details?.causes) ? details.causes.filter(isRecord) : [];
  return {
    ...(typeof value.message === 'string' && { message: value.message }),
    ...(typeof value.reason === 'string' && { reason: value.reason }),
    ...(details && {
      details: {
        ...(typeof details.kind === 'string' && { kind: details.kind }),
        ...(typeof details.name === 'string' && { name: details.name }),
        causes: causes.map(({ reason, message, field }) => ({
          reason: String(reason ?? ''),
          message: String(message ?? ''),
          field: String(field ?? ''),
        })),
      },
    }),
  };
}

function conflict(message: string, { reason, details }: Status): KubeFault {
  const owned = details?.causes.filter((cause) => cause.reason === 'FieldManagerConflict') ?? [];
  if (owned.length > 0) {
    // `conflict with "kubectl-client-side-apply" using apps/v1`
    const managers = [...new Set(owned.map((cause) => /"([^"]*)"/.exec(cause.message)?.[1] ?? cause.message))];
    return new KubeFault('kube/conflict', `${managers.join(' and ')} set fields that this manifest sets too`, {
      notes: owned.map((cause) => `${cause.field}: ${cause.message}`),
      fields: owned.map((cause) => ({ path: fieldPath(cause.field), message: cause.message })),
      next: 'remove the field from the manifest to leave it to them, or deploy with --force to take it over',
    });
  }
  if (reason === 'AlreadyExists') return new KubeFault('kube/already-exists', message);
  return new KubeFault('kube/changed', message, { next: 'try again: somebody changed it at the same time' });
}

const untyped = 'failed to create typed patch object';

function invalid(answer: string, { details }: Status): KubeFault {
  // `failed to create typed patch object (dev/ledger; apps/v1, Kind=Deployment): .spec.replcias: field not declared in schema`
  const message = answer.startsWith(untyped) ? answer.replace(/^[^)]*\): (?:errors:\s+)?/, '') : answer;
  const causes = details?.causes.filter(({ field }) => field !== '') ?? [];
  const fields: FieldCause[] = causes.map((cause) => ({ path: fieldPath(cause.field), message: cause.message }));
  if (fields.length === 0) {
    const typed = /^\s*(?<field>\.[^\s]+?): (?<text>[^\n]+)/.exec(message)?.groups;
    if (typed?.field !== undefined && typed.text !== undefined) {
      fields.push({ path: fieldPath(typed.field), message: typed.text });
    }
  }
  const immutable = /immutable|updates to statefulset spec/i.test(message);
  return new KubeFault('kube/invalid', message, {
    fields,
    next: immutable
      ? 'a field that can be set only once was changed: set it back, or give the object a new name'
      : 'mend the field; `banksman kubectl explain` describes it',
  });
}

/**
 * `spec.template.spec.containers[0].image`, `.spec.containers[name="x"].image`, `metadata.labels[a.b/c]`: the keys in order.
 * An entry of a list that is named by its own keys stays as it is, without the brackets: `name="x"`.
 */
export function fieldPath(field: string): (string | number)[] {
  const path: (string | number)[] = [];
  for (const { groups } of field.matchAll(/\[(?<bracket>(?:"[^"]*"|[^\]])*)\]|\.?(?<name>[^.[\]]+)/g)) {
    const { bracket, name } = groups ?? {};
    if (name !== undefined) path.push(name);
    else if (bracket !== undefined) path.push(/^\d+$/.test(bracket) ? Number(bracket) : bracket);
  }
  return path;
}

function seconds(header: string | undefined): number | undefined {
  return header !== undefined && /^\d+$/.test(header) ? Number(header) : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
