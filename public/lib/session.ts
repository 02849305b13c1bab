/** Who is logged in, kept in this browser, and the client that all calls of a page go through. */
import { useEffect, useState } from 'preact/hooks';
import { FastpassClient, NetworkError, type Session } from '../../src/client/index.ts';
import { keepText, keptText } from './texts.ts';

export interface Login extends Session {
  readonly email: string;
}

const key = 'fastpass.session';

function readLogin(): Login | null {
  try {
    const kept = JSON.parse(keptText(key) ?? 'null') as Login | null;
    return kept !== null && Date.parse(kept.expiresAt) > Date.now() ? kept : null;
  } catch {
    return null;
  }
}

let login = readLogin();
const listeners = new Set<(login: Login | null) => void>();

export const client = new FastpassClient({
  baseUrl: location.origin,
  ...(login === null ? {} : { token: login.accessToken }),
});

/** Null while nobody is logged in. */
export function currentLogin(): Login | null {
  return login;
}

function become(now: Login | null): void {
  login = now;
  client.token = now?.accessToken ?? null;
  for (const listener of [...listeners]) listener(now);
}

/** Another tab has logged in or out. */
addEventListener('storage', (event) => {
  if (event.key === key || event.key === null) become(readLogin());
});

export function keepLogin(now: Login): void {
  keepText(key, JSON.stringify(now));
  become(now);
}

/**
 * The token is forgotten at once, whether the gateway can be told or not: who leaves a machine must not have to wait. By a
 * client of its own: somebody else may have logged in by the time the answer comes.
 */
export async function logOut(): Promise<void> {
  const leaving = new FastpassClient({
    baseUrl: client.baseUrl,
    ...(client.token === null ? {} : { token: client.token }),
  });
  forgetLogin();
  try {
    await leaving.logOut();
  } catch (thrown) {
    // No answer: the token ends by itself.
    if (!(thrown instanceof NetworkError)) throw thrown;
  }
}

/** After a 401: the token has ended, or was given back elsewhere. */
export function forgetLogin(): void {
  keepText(key, null);
  become(null);
}

/** Who is logged in, again whenever that changes, in this tab or another. */
export function useLogin(): Login | null {
  const [now, setNow] = useState(login);
  useEffect(() => {
    listeners.add(setNow);
    setNow(login);
    return () => {
      listeners.delete(setNow);
    };
  }, []);
  return now;
}
