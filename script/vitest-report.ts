/** What is read of the report that vitest's reporter `json` writes; it has the form of Jest's. */
export interface Report {
  readonly testResults: readonly {
    /** Path of the file. */
    readonly name: string;
    readonly status: 'passed' | 'failed';
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

export interface FileResult {
  /** False also where the file itself could not be run. */
  readonly passes: boolean;
  readonly passed: number;
  readonly failed: number;
}

/** The results by the path of the file. A file that can't be run at all counts as one failure. */
export function filesOf({ testResults }: Report): Map<string, FileResult> {
  return new Map(
    testResults.map(({ name, status, assertionResults }) => {
      const count = (wanted: string) => assertionResults.filter((each) => each.status === wanted).length;
      const failed = count('failed');
      const passes = status === 'passed' && failed === 0;
      return [name, { passes, passed: count('passed'), failed: passes ? 0 : Math.max(1, failed) }] as const;
    }),
  );
}
