import { defineFunction, type NativeDefinition, type NativeFunction } from '../../language/index.ts';
import { ArgumentFault } from '../fault.ts';
import type { BuildCall, EvaluationContext } from './context.ts';
import { literalPlace, placed } from './place.ts';

/** Defines a function of BUILD files whose faults get the place of the call. */
export function define(definition: NativeDefinition<EvaluationContext>): NativeFunction {
  return defineFunction<EvaluationContext>({
    ...definition,
    implementation: (args, call) => {
      try {
        return definition.implementation(args, call);
      } catch (error) {
        throw placedAt(error, call);
      }
    },
  });
}

/** A wrong string is shown where the BUILD file writes it, if it does. */
export function placedAt(error: unknown, call: BuildCall): unknown {
  const trace = call.trace();
  if (!(error instanceof ArgumentFault)) return placed(error, trace);
  const written = call.outermost().place;
  const place = literalPlace(written, error.literal);
  return placed(error, place === written ? trace : { ...trace, place });
}
