import type { ApiServerAddress } from '../../model/registry.ts'
import type { ApiServer } from './by-kubeconfig.ts'
import { bearer, readSecret } from '../../net/credential-files.ts'
import type { CredentialPlaces } from '../../net/credential-places.ts'
import { checkSecret } from '../../net/credential-places.ts'
import { cachedToken } from '../../net/cached-token.ts'
import { readManagedSecret } from '../../net/managed-secret.ts'

/** Connects to an API server by its registered URL, trusted authority and token location. */
export function addressServer(
  { url, ca, tokenFile, tokenSecret }: ApiServerAddress,
  deadlineMs: number,
  places?: CredentialPlaces,
): ApiServer {
  const now = (): Date => new Date()
  const read =
    tokenSecret === undefined
      ? (): Promise<string> => readSecret(tokenFile ?? '', 'the token file', places)
      : cachedToken(async () => {
          if (places !== undefined) checkSecret(tokenSecret, places)
          return readManagedSecret(tokenSecret, 'token', deadlineMs, url)
        }, now)
  return {
    url: new URL(url),
    ca,
    serverName: undefined,
    credentials: async (refused) => ({
      ...bearer(await read(refused?.replace(/^Bearer /, ''))),
      certificate: undefined,
    }),
  }
}
