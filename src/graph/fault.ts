import { Fault } from '../fault/index.ts';

/** What can be wrong with a workspace, its packages and their targets. */
export class GraphFault extends Fault<
  | 'graph/no-workspace'
  | 'graph/bad-workspace'
  | 'graph/bad-label'
  | 'graph/bad-target'
  | 'graph/duplicate-target'
  | 'graph/missing-package'
  | 'graph/missing-target'
  | 'graph/missing-source'
  | 'graph/crosses-package'
  | 'graph/not-visible'
  | 'graph/test-only'
  | 'graph/cycle'
  | 'graph/output-clash'
  | 'graph/subinclude'
  | 'graph/post-build'
  | 'graph/bad-data'
  | 'graph/unreadable'
  | 'graph/no-repository'
  | 'graph/unknown-revision'
  | 'graph/shallow-clone'
  | 'graph/git'
> {}

/** A fault about one string among a rule's arguments, so that its place can be found. */
export class ArgumentFault extends GraphFault {
  readonly literal: string;
  constructor(fault: GraphFault, literal: string) {
    super(fault.code, fault.message, { next: fault.next, cause: fault });
    this.literal = literal;
  }
}
