import { Fault } from '../../fault/index.ts';

/** What is wrong with a Dockerfile, or with what it wants to be made of. */
export class DockerfileFault extends Fault<
  /** The file itself: not UTF-8, too large, without a stage. */
  | 'dockerfile/not-text'
  | 'dockerfile/too-large'
  | 'dockerfile/empty'
  /** An instruction that is not written as the Dockerfile reference has it. */
  | 'dockerfile/syntax'
  | 'dockerfile/unknown-instruction'
  | 'dockerfile/bad-flag'
  | 'dockerfile/bad-value'
  | 'dockerfile/bad-substitution'
  /** What can't be done without a daemon, or never: RUN where it is not turned on, a URL without a sum. */
  | 'dockerfile/run-refused'
  | 'dockerfile/run-failed'
  | 'dockerfile/remote-source'
  | 'dockerfile/not-supported'
  /** Stages and the images below them. */
  | 'dockerfile/unknown-stage'
  | 'dockerfile/unknown-image'
  | 'dockerfile/undeclared-image'
  | 'dockerfile/floating-image'
  /** COPY, ADD, WORKDIR: files. */
  | 'dockerfile/missing-source'
  | 'dockerfile/outside-context'
  | 'dockerfile/bad-source'
  | 'dockerfile/bad-destination'
  | 'dockerfile/unknown-user'
  | 'dockerfile/bad-archive'
  /** Arguments of the build. */
  | 'dockerfile/bad-argument'
> {}
