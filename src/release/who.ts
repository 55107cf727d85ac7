import { hostname, userInfo } from 'node:os';

/** Who is asking, as far as this machine knows: `user@machine`. */
export function whoAmI(): string {
  return `${userInfo().username}@${hostname()}`;
}
