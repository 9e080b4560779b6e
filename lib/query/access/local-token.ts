import { createHash, timingSafeEqual } from 'node:crypto'
import { type Access, bearerOf, loopbackAccess } from './access.ts'

/**
 * Lets in who brings this token, for a server that listens on a loopback address only. As of {@link loopbackAccess}, the `Host` header must name that
 * address; unlike there, others who can reach it, as other accounts of this machine, get nothing.
 */
export function localTokenAccess(token: string): Access {
  const known = sha256Of(token)
  return async (request, environment) => {
    const brought = bearerOf(request)
    if (brought === undefined || !timingSafeEqual(sha256Of(brought), known)) return undefined
    return loopbackAccess(request, environment)
  }
}

function sha256Of(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
