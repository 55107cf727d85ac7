import type { Inputs } from '../types.ts';

export const noInputs: Inputs = Object.freeze({ all: Object.freeze([]), named: Object.freeze({}) });
