/**
 * `node:http`, had without an import statement: that would read each of the module's exports, and reading the one of WebSocket loads
 * a whole client of its own, 40 ms at the start of every command.
 */
const http = process.getBuiltinModule('node:http');

export const HttpAgent = http.Agent;
export const httpRequest = http.request;
export const createHttpServer = http.createServer;
