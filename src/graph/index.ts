export type { Action, Input, Inputs, Json, Label, Target, Test } from './types.ts';
