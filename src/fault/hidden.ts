/** Credentials that this process uses now, the ones used last at the end. */
const known = new Set<string>();
/** Tokens change; the oldest are forgotten. */
const most = 1_000;
/** Characters below which a text is no secret, and would be found everywhere. */
const shortest = 8;

/**
 * This must never be told: not in an error, a log, or a record. Whoever we speak to may send back what we sent, in the text of an error
 * for instance.
 */
export function hide(...secrets: readonly (string | undefined)[]): void {
  for (const secret of secrets) {
    if (secret === undefined || secret.length < shortest) continue;
    known.delete(secret);
    known.add(secret);
  }
  for (const oldest of known) {
    if (known.size <= most) break;
    known.delete(oldest);
  }
}

/** The same text, with `[hidden]` in place of what must not be told. */
export function withoutSecrets(text: string): string {
  let told = text;
  for (const secret of known) if (told.includes(secret)) told = told.replaceAll(secret, '[hidden]');
  return told;
}
