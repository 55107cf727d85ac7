import type { TestCase } from './types.ts';

/**
 * Reads what a Go test program prints with `-test.v`: `=== RUN` says whose output follows, `--- PASS|FAIL|SKIP` ends a test. A
 * test that began and has no end (a panic, `os.Exit`, a time-out) has failed.
 */
export function parseGoResults(text: string, suite: string): TestCase[] {
  const cases = new Map<string, { status: TestCase['status'] | undefined; seconds: number; output: string[] }>();
  let current: string | undefined;
  const entry = (name: string) => {
    let found = cases.get(name);
    if (found === undefined) {
      found = { status: undefined, seconds: 0, output: [] };
      cases.set(name, found);
    }
    return found;
  };
  for (const line of text.split('\n')) {
    const begins = /^=== (?:RUN|CONT|NAME)\s+(\S+)/.exec(line);
    if (begins !== null) {
      current = begins[1]!;
      entry(current);
      continue;
    }
    if (/^=== PAUSE/.test(line)) continue;
    const ends = /^\s*--- (PASS|FAIL|SKIP): (\S+) \((\d+(?:\.\d+)?)s\)/.exec(line);
    if (ends !== null) {
      const [, outcome, name, seconds] = ends;
      const found = entry(name!);
      found.status = outcome === 'PASS' ? 'passed' : outcome === 'FAIL' ? 'failed' : 'skipped';
      found.seconds = Number(seconds);
      current = name!;
      continue;
    }
    if (/^(PASS|FAIL|ok\s|exit status)/.test(line)) {
      current = undefined;
      continue;
    }
    if (current !== undefined) entry(current).output.push(line);
  }
  return [...cases].map(([name, { status, seconds, output }]) => {
    const message = status === 'passed' ? '' : output.join('\n').trim();
    const said = status === undefined ? `${message}\nthe test did not end`.trim() : message;
    return { name, suite, status: status ?? 'failed', seconds, ...(said !== '' && { message: said }) };
  });
}

/** Whether a results file is of Go's form and not XML. */
export function isGoResults(text: string): boolean {
  return !/^\s*(\uFEFF)?</.test(text);
}
