export { type Person, type Role, roles } from './authorization.ts';
export { ServerFault } from './fault.ts';
export { newSealKey, parseSealKeys, readSealKeys, type SealKeys } from './sealing.ts';
export type { SignIn } from './sign-in.ts';
export { type RunningServer, type ServerOptions, startServer } from './start.ts';
export { openTokens, type Tokens } from './tokens.ts';
export type { WebhookView } from './webhooks/store.ts';
