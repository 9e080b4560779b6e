/** Small pages with at most one button, for whoever comes from a mail. */
import type { PageTemplate } from '../../report/page-template.ts'
import { SECURITY_HEADERS } from '../answer.ts'

/** Of every answer to whoever comes from a mail: its address, which may be a secret, is told to nobody, and nothing of it is kept, run or framed. */
export const FORM_HEADERS = {
  ...SECURITY_HEADERS,
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-robots-tag': 'noindex, nofollow',
} as const

let place: PageTemplate | undefined

/**
 * A page of a title, some lines and a button that posts to where it is; null: none. Never kept, and its address, which may be a secret, is told to nobody.
 */
export async function formResponse(
  status: number,
  title: string,
  lines: readonly string[],
  button: string | null,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  // Loaded here, since most requests want no page.
  const { pageTemplate } = await import('../../report/page-template.ts')
  place ??= pageTemplate(new URL('templates/form.hbs', import.meta.url))
  return new Response(place({ title, lines, button }), {
    status,
    headers: { ...FORM_HEADERS, 'content-type': 'text/html; charset=utf-8', ...headers },
  })
}
