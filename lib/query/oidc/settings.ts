/** What may be said of an issuer, wherever it is said: on the command line, or in the environment of a function. */
import { mayCarryCredentials } from '../../net/may-carry-credentials.ts'

/** The address of an issuer, by https or on this machine; undefined if it is none. */
export function issuerUrl(text: string): URL | undefined {
  const url = URL.parse(text)
  const isPlain = url !== null && [url.username, url.password, url.search, url.hash].every((part) => part === '')
  return isPlain && /^https?:$/.test(url.protocol) && mayCarryCredentials(url) ? url : undefined
}

/** Whether it may be the id of a client. */
export function isClientId(text: string): boolean {
  return /^[\x21-\x7e]{1,255}$/.test(text)
}

/** Whether scopes can be asked for, `openid` among them, as RFC 6749 writes them. */
export function isScope(text: string): boolean {
  return /^[\x21\x23-\x5b\x5d-\x7e ]{1,1000}$/.test(text) && text.split(' ').includes('openid')
}

/** Whether an issuer can lead back to an address of the pages: by https or on this machine, and without a path, since a session is of a whole host. */
export function isWayBack(url: URL): boolean {
  return /^https?:$/.test(url.protocol) && mayCarryCredentials(url) && url.pathname === '/'
}
