import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** distribution-spec 1.1, "Error Codes". */
export type RegistryErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'DENIED'
  | 'UNAUTHORIZED'
  | 'TOOMANYREQUESTS'
  | 'UNSUPPORTED'
  | 'TAG_INVALID'
  | 'RANGE_INVALID'
  | 'UNKNOWN';

/** Thrown while a request is handled; becomes its answer. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: RegistryErrorCode;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;

  constructor(
    status: number,
    code: RegistryErrorCode,
    message: string,
    headers: Readonly<Record<string, string | readonly string[]>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

export function refuse(response: ServerResponse, { status, code, message, headers }: Refusal): void {
  const body = JSON.stringify({ errors: [{ code, message }] });
  answer(response, status, { ...headers, 'content-type': 'application/json' }, body);
}

export function answer(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string | number | readonly string[]>>,
  body?: string | Uint8Array,
): void {
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const empty = body === undefined && status !== 204 ? { 'content-length': 0 } : {};
  response.writeHead(status, {
    'docker-distribution-api-version': 'registry/2.0',
    'x-content-type-options': 'nosniff',
    ...empty,
    ...length,
    ...headers,
  } as OutgoingHttpHeaders);
  response.end(body);
}
