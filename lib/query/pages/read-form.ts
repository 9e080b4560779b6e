/** Longer than any token, and the form around it. */
const MAX_FORM_BYTES = 32_768

/** Reads the form that a request brings; undefined if it has no length, is too long, or does not arrive whole. No other body is ever read. */
export async function readForm(request: Request): Promise<URLSearchParams | undefined> {
  const length = Number(request.headers.get('content-length') ?? Infinity)
  if (!(length <= MAX_FORM_BYTES)) return undefined
  try {
    return new URLSearchParams(await request.text())
  } catch {
    // Whoever sent it went away, or was too slow: nothing of the server failed.
    return undefined
  }
}
