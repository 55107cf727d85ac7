import { actorOf } from '../asked.ts';
import type { Role } from '../authorization.ts';
import type { Call } from '../call.ts';

/** Who may call. */
export const tokenCalls: readonly Call[] = [
  {
    method: 'GET',
    path: '/v1/tokens',
    summary: 'All tokens, without what they are known by',
    action: 'token.read',
    gives: 'tokens',
    answer: ({ tokens }) => tokens.list(),
  },
  {
    method: 'POST',
    path: '/v1/tokens',
    summary: 'Make a token; it is shown this once',
    action: 'token.create',
    takes: 'createToken',
    gives: 'token',
    status: 201,
    async answer({ tokens, now }, request) {
      const { name, roles, services, expiresAt } = request.body;
      const wanted = { name: name as string, roles: roles as Role[], services: services as string[] };
      const asked = { ...wanted, expiresAt: Date.parse(expiresAt as string) };
      return await tokens.create(asked, actorOf(request), now());
    },
  },
  {
    method: 'DELETE',
    path: '/v1/tokens/{token}',
    summary: 'Revoke a token',
    action: 'token.revoke',
    gives: 'nothing',
    async answer({ tokens, now }, request) {
      await tokens.revoke(request.parameters.token ?? '', actorOf(request), now());
      return {};
    },
  },
];
