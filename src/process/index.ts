export { createHttpServer, HttpAgent, httpRequest } from './http.ts';
export { ProcessFault, type RunOptions, type RunResult, run } from './run.ts';
