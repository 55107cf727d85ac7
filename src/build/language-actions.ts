import type { BuiltinActions } from './types.ts';

export const languageActions: BuiltinActions = {};
