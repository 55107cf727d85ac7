/**
 * Reads YAML files that people write, with places and unknown keys as errors, for other folders than this one. Loaded when it is
 * asked for: the YAML library takes a tenth of the time of a small query.
 *
 * @throws GraphFault graph/bad-workspace while a file is read; whoever reads another file than the workspace's tells it as his own
 */
export function formReader(): Promise<FormReader> {
  return import('./yaml-form.ts');
}

export type FormReader = typeof import('./yaml-form.ts');
