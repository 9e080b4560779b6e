/** Places pages into their frame, and the one file of styles that they all use. */
import { createHash } from 'node:crypto'
import { type PageTemplate, SHARED_PARTS, pageTemplate } from '../../report/page-template.ts'
import { STYLE_LOOKS } from '../../report/report-html.ts'
import { SECURITY_HEADERS } from '../answer.ts'

/** What stands around every page. */
export type Frame = {
  readonly title: string
  readonly places: readonly { readonly href: string; readonly title: string; readonly isCurrent: boolean }[]
  readonly replay: string | null
  /** How far the data goes; empty where nothing is told. */
  readonly standing: string
  /** The past time that is looked at, and where the same page is of now; null for now. */
  readonly past: { readonly words: string; readonly nowHref: string } | null
  /** Somebody is signed in by a session, and can end it. */
  readonly canSignOut: boolean
}

const PARTS = [SHARED_PARTS, new URL('templates/frame.hbs', import.meta.url)]

const templates = new Map<string, PageTemplate>()

/** One file, under a name that changes with it. */
export type Stylesheet = { readonly path: string; readonly body: string }

let styles: Stylesheet | undefined

/** The styles of all pages: those of the report, and what only pages have. */
export function stylesheet(): Stylesheet {
  if (styles === undefined) {
    const body = pageTemplate(new URL('templates/styles.hbs', import.meta.url), [SHARED_PARTS])(STYLE_LOOKS)
    const hash = createHash('sha256').update(body).digest('base64url').slice(0, 16)
    styles = { path: `/assets/pages-${hash}.css`, body }
  }
  return styles
}

/** Nothing runs, nothing is loaded but the styles, forms lead here, and nobody frames a page. */
const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ')

/** Of every page: it is personal, and kept nowhere. */
export const PAGE_HEADERS = {
  ...SECURITY_HEADERS,
  'cache-control': 'no-store',
  'content-security-policy': POLICY,
  'content-type': 'text/html; charset=utf-8',
  // Forms send where they come from only to us; links elsewhere tell nothing.
  'referrer-policy': 'same-origin',
  'x-robots-tag': 'noindex, nofollow',
} as const

/** A page as a response. `template` is the name of a file in templates/. */
export function pageResponse(
  status: number,
  template: string,
  content: { readonly frame: Frame; readonly view: object },
  headers: Readonly<Record<string, string>> = {},
): Response {
  let place = templates.get(template)
  if (place === undefined) {
    place = pageTemplate(new URL(`templates/${template}.hbs`, import.meta.url), PARTS)
    templates.set(template, place)
  }
  const body = place({ ...content, css: stylesheet().path })
  return new Response(body, { status, headers: { ...PAGE_HEADERS, ...headers } })
}

/** The styles as a response: their name changes with them, so that they are kept for good. */
export function stylesResponse(): Response {
  return new Response(stylesheet().body, {
    headers: {
      ...SECURITY_HEADERS,
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'text/css; charset=utf-8',
    },
  })
}
