import { once } from '../../once.ts'
import { bearerOf } from '../access/access.ts'
import type { Issuer, IssuerDeps, IssuerSettings } from './issuer.ts'

/** Makes an issuer. Nothing is asked yet, and its client is loaded when something is: a page for somebody who is signed in asks nothing. */
export function createIssuer(settings: IssuerSettings, deps: IssuerDeps): Issuer {
  const client = once(async () => (await import('./issuer-client.ts')).createIssuerClient(settings, deps))
  return {
    name: new URL(settings.issuer).host,
    pagesOrigin: new URL(settings.url).origin,
    ready: async () => (await client()).ready(),
    begin: async () => (await client()).begin(),
    finish: async (parameters, pending) => (await client()).finish(parameters, pending),
    access: (audience) => async (request) =>
      bearerOf(request) === undefined || audience.length === 0 ? undefined : (await client()).access(audience, request),
    logout: async () => (await client()).logout(),
  }
}
