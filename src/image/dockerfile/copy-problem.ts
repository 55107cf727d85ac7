/** Why files can't be copied. The caller knows the place. */
export class CopyProblem extends Error {
  readonly code: 'missing-source' | 'outside-context' | 'bad-source' | 'bad-destination';
  readonly next: string | undefined;

  constructor(code: CopyProblem['code'], message: string, next?: string) {
    super(message);
    this.code = code;
    this.next = next;
  }
}
