/** A SHA-256 sum as rules take it, in plain hex. */
export function plainSum(text: string): string | undefined {
  const sum = text.replace(/^sha256:\s*/, '').toLowerCase();
  return /^[0-9a-f]{64}$/.test(sum) ? sum : undefined;
}
