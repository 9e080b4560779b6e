/** Follows links and redirects between servers as a browser does, with cookies and without scripts. */

/** A browser without a window. */
export type PlainBrowser = {
  /** Follows redirects to the end. */
  readonly visit: (address: string | URL, init?: RequestInit) => Promise<Visited>
  /** Asks once. Takes the cookies, and follows nothing. */
  readonly ask: (address: string | URL, init?: RequestInit) => Promise<Response>
  /** Cookies by name, as a server of this origin gets them. */
  readonly cookies: (origin: string) => Map<string, string>
}

/** Where a browser came to. */
export type Visited = { readonly url: URL; readonly status: number; readonly text: string; readonly headers: Headers }

/** Makes a browser without cookies. */
export function plainBrowser(): PlainBrowser {
  const jars = new Map<string, Map<string, string>>()
  const cookies: PlainBrowser['cookies'] = (origin) => {
    const jar = jars.get(origin) ?? new Map<string, string>()
    jars.set(origin, jar)
    return jar
  }
  const ask: PlainBrowser['ask'] = async (address, init = {}) => {
    const { origin } = new URL(address)
    const headers = new Headers(init.headers)
    const cookie = [...cookies(origin)].map(([name, value]) => `${name}=${value}`).join('; ')
    if (cookie !== '' && !headers.has('cookie')) headers.set('cookie', cookie)
    const response = await fetch(address, { ...init, headers, redirect: 'manual' })
    for (const one of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(one) ?? []
      if (/; Max-Age=0(;|$)/.test(one)) cookies(origin).delete(name)
      else cookies(origin).set(name, value)
    }
    return response
  }
  return {
    ask,
    cookies,
    async visit(address, init) {
      let url = new URL(address)
      let response = await ask(url, init)
      for (let hops = 0; hops < 10 && response.status >= 300 && response.status < 400; hops++) {
        url = new URL(response.headers.get('location') ?? '', url)
        response = await ask(url)
      }
      return { url, status: response.status, text: await response.text(), headers: response.headers }
    },
  }
}
