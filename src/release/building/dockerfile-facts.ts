import type { Target, Workspace } from '../../graph/index.ts';
import { dockerfileImageVersion } from '../../image/building.ts';
import { configOf } from './action-config.ts';

/** Whether a docker_image target has a Dockerfile. */
export function hasDockerfile(target: Target): boolean {
  return typeof configOf(target).dockerfile === 'string';
}

/** What beside its inputs decides on the image of a Dockerfile. */
export function dockerfileFacts({ images: { run } }: Workspace): string {
  return `Dockerfile ${dockerfileImageVersion}${run === undefined ? '' : `, RUN by ${run}`}`;
}
