import type { RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createHttpServer } from '../../process/index.ts';

/** PEM texts. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  /** Authorities of the certificates that clients must show. */
  readonly clientAuthorities?: string;
}

/** Milliseconds: for a request's head, for an idle connection, for a line on which nothing moves. */
const headTimeout = 20_000;
const keepAlive = 65_000;
const stalledTimeout = 120_000;

/** Connections at a time. */
const maximumConnections = 2000;

/**
 * A server for the registry's handler that no client can hold up: heads come in time, a line on which nothing moves is cut,
 * and there is a bound on connections. Bodies have no time limit as a whole, since layers are large: the handler minds
 * their pace.
 *
 * @param headTime milliseconds for a request's head
 */
export function createRegistryServer(handler: RequestListener, tls?: ServerTls, headTime = headTimeout): Server {
  const limits = {
    headersTimeout: headTime,
    requestTimeout: 0,
    keepAliveTimeout: keepAlive,
    connectionsCheckingInterval: headTime / 4,
  };
  const server =
    tls === undefined
      ? createHttpServer(limits, handler)
      : (createTlsServer(
          {
            ...limits,
            handshakeTimeout: headTime,
            cert: tls.cert,
            key: tls.key,
            minVersion: 'TLSv1.2',
            ...(tls.clientAuthorities !== undefined && {
              ca: tls.clientAuthorities,
              requestCert: true,
              rejectUnauthorized: true,
            }),
          },
          handler,
        ) as unknown as Server);
  server.timeout = stalledTimeout;
  server.maxConnections = maximumConnections;
  return server;
}
