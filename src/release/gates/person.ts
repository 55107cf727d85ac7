/**
 * Whether two names mean one person. Commits say `Ada <ada@bank.example>`, a sign-in may say `ada@bank.example`: the mail counts,
 * and letters' case does not.
 */
export function isSamePerson(a: string, b: string): boolean {
  return identity(a) === identity(b);
}

function identity(name: string): string {
  return (/<([^<>]+)>\s*$/.exec(name)?.[1] ?? name).trim().toLowerCase();
}
