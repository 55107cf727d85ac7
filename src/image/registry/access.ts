import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Refusal } from './answer.ts';
import type { Permission, RegistryAction, RegistryOptions } from './handler.ts';
import { createPasswordVerifier, hashToken } from './password.ts';

/** Who may do what. What no rule allows is denied. */
export interface AccessSettings {
  readonly users: Readonly<Record<string, RegistryUser>>;
  readonly rules: readonly AccessRule[];
  /** How clients are asked to say who they are: with each request, or once for a token. `basic` unless told. */
  readonly challenge?: 'basic' | 'token';
}

export interface RegistryUser {
  /** As `hashPassword` writes it. */
  readonly password?: string;
  /** Sums of tokens, which take the place of the password, as `newToken` gives them. */
  readonly tokens?: readonly string[];
}

export interface AccessRule {
  /** `bank/ledger`, `bank/*` (one part), `bank/**` (any number of parts). */
  readonly repositories: string;
  /** Names of users; `*` is every user, `anonymous` everybody. */
  readonly pull?: readonly string[];
  /** With pull. */
  readonly push?: readonly string[];
  readonly delete?: readonly string[];
}

/** Seconds that a token is good for. */
const tokenLife = 300;

interface Grant {
  readonly repository: string;
  readonly actions: readonly RegistryAction[];
}

/** Whoever a request is from, and what it is confined to where it came with a token. */
interface Client {
  /** Undefined for somebody who does not say. */
  readonly user?: string;
  readonly grants?: readonly Grant[];
}

/**
 * Access by names and passwords, with each request (RFC 7617) or by a token of `/token` (Docker's "Token Authentication
 * Specification"; RFC 6750).
 *
 * @param settings read for each request, so that a change of them needs no restart
 */
export function createAccess(settings: () => AccessSettings): Required<Pick<RegistryOptions, 'authorize' | 'token'>> {
  const verifier = createPasswordVerifier();
  // Tokens of before a restart are refused; clients then ask for another.
  const secret = randomBytes(32);

  async function userOf(name: string, password: string): Promise<string | undefined> {
    const { users } = settings();
    const user = Object.hasOwn(users, name) ? users[name] : undefined;
    const sum = hashToken(password);
    if (user?.tokens?.some((token) => equal(token, sum))) return name;
    return (await verifier.verify(name, password, user?.password)) ? name : undefined;
  }

  /** Undefined where what the client says of itself is wrong. */
  async function clientOf(request: IncomingMessage): Promise<Client | undefined> {
    const header = request.headers.authorization;
    if (header === undefined) return {};
    const [, scheme = '', value = ''] = /^(basic|bearer)\s+(\S+)\s*$/i.exec(header) ?? [];
    if (scheme.toLowerCase() === 'bearer') return readToken(value, secret) ?? robot(value);
    const decoded = Buffer.from(value, 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    // Some clients say that they are nobody.
    if (colon === 0 && decoded.length === 1) return {};
    if (scheme === '' || colon < 1) return undefined;
    const user = await userOf(decoded.slice(0, colon), decoded.slice(colon + 1));
    return user === undefined ? undefined : { user };
  }

  /** A user's own token, given without the user's name. */
  function robot(token: string): Client | undefined {
    const sum = hashToken(token);
    const found = Object.entries(settings().users).find(([, { tokens }]) => tokens?.some((each) => equal(each, sum)));
    return found && { user: found[0] };
  }

  function allowed(user: string | undefined, action: RegistryAction, repository: string): boolean {
    return settings().rules.some((rule) => {
      if (!fits(rule.repositories, repository)) return false;
      const names = action === 'pull' ? [...(rule.pull ?? []), ...(rule.push ?? [])] : (rule[action] ?? []);
      return names.includes('anonymous') || (user !== undefined && (names.includes('*') || names.includes(user)));
    });
  }

  function challengeFor(request: IncomingMessage, action: RegistryAction, repository: string | undefined): Permission {
    if (settings().challenge !== 'token') return { challenge: 'Basic realm="registry", charset="UTF-8"' };
    const { host = 'registry' } = request.headers;
    // The name of the host goes into a quoted text, from where it must not break out.
    const name = /^[A-Za-z0-9.:[\]-]{1,255}$/.test(host) ? host : 'registry';
    const scheme = 'encrypted' in request.socket ? 'https' : 'http';
    const actions = action === 'push' ? 'pull,push' : action;
    const scope = repository === undefined ? '' : `,scope="repository:${repository}:${actions}"`;
    return { challenge: `Bearer realm="${scheme}://${name}/token",service="${name}"${scope}` };
  }

  return {
    async authorize(request, action, repository) {
      const client = await clientOf(request);
      const ask = () => challengeFor(request, action, repository);
      if (client === undefined) return ask();
      // The first request of most clients: it asks how to say who one is.
      if (repository === undefined) return client.user !== undefined || client.grants !== undefined || ask();
      const within =
        client.grants === undefined ||
        client.grants.some((grant) => grant.repository === repository && grant.actions.includes(action));
      const may = allowed(client.user, action, repository);
      if (within && may) return true;
      // Who has said who he is gets another chance only with a token that was for something else, where another would do.
      return client.user !== undefined && (client.grants === undefined || !may) ? false : ask();
    },

    async token(request, query) {
      const client = await clientOf(request);
      if (client === undefined || client.grants !== undefined)
        throw new Refusal(401, 'UNAUTHORIZED', 'the name or the password is wrong', {
          'www-authenticate': 'Basic realm="registry", charset="UTF-8"',
        });
      const grants: Grant[] = [];
      for (const scope of query
        .getAll('scope')
        .flatMap((text) => text.split(' '))
        .slice(0, 100)) {
        const [, repository, text] = /^repository:([^:]+):([a-z,*]+)$/.exec(scope) ?? [];
        if (repository === undefined || text === undefined) continue;
        const wanted = text.split(',').flatMap((action) => (action === '*' ? ['pull', 'push', 'delete'] : [action]));
        const actions = (['pull', 'push', 'delete'] as const).filter(
          (action) => wanted.includes(action) && allowed(client.user, action, repository),
        );
        if (actions.length > 0) grants.push({ repository, actions });
      }
      const token = writeToken({ ...(client.user !== undefined && { user: client.user }), grants }, secret);
      return { token, access_token: token, expires_in: tokenLife, issued_at: new Date().toISOString() };
    },
  };
}

function writeToken(client: Client, secret: Buffer): string {
  const body = Buffer.from(JSON.stringify({ ...client, until: Date.now() + tokenLife * 1000 })).toString('base64url');
  return `${body}.${sign(body, secret)}`;
}

function readToken(text: string, secret: Buffer): Client | undefined {
  const [body = '', signature = ''] = text.split('.');
  if (!equal(signature, sign(body, secret))) return undefined;
  const { user, grants, until } = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
  return until > Date.now() ? { user, grants } : undefined;
}

function sign(body: string, secret: Buffer): string {
  return createHmac('sha256', secret).update(body).digest('base64url');
}

function equal(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

/** Whether a repository is meant by a pattern: part by part, `*` one, `**` any number, none among them. */
export function fits(pattern: string, repository: string): boolean {
  return match(pattern.split('/'), repository.split('/'));
}

function match(pattern: readonly string[], parts: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return parts.length === 0;
  if (first === '**') return match(rest, parts) || (parts.length > 0 && match(pattern, parts.slice(1)));
  return parts.length > 0 && (first === '*' || first === parts[0]) && match(rest, parts.slice(1));
}
