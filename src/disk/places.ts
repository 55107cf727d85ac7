import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * `$XDG_CACHE_HOME/banksman/...`: what can be made again. `BANKSMAN_CACHE` sets another place.
 * XDG Base Directory Specification 0.8: a relative path there counts as absent.
 */
export function cacheFolder(...parts: string[]): string {
  const own = process.env.BANKSMAN_CACHE;
  return own && isAbsolute(own) ? join(own, ...parts) : join(xdg('XDG_CACHE_HOME', '.cache'), 'banksman', ...parts);
}

/** `$XDG_STATE_HOME/banksman/...`: what would be missed, such as a local cluster. `BANKSMAN_STATE` sets another place. */
export function stateFolder(...parts: string[]): string {
  const own = process.env.BANKSMAN_STATE;
  return own && isAbsolute(own)
    ? join(own, ...parts)
    : join(xdg('XDG_STATE_HOME', '.local/state'), 'banksman', ...parts);
}

function xdg(variable: string, fallback: string): string {
  const value = process.env[variable];
  return value !== undefined && isAbsolute(value) ? value : join(homedir(), fallback);
}
