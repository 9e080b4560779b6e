/** Small pages with at most one button, for whoever comes from a mail. */
import { SECURITY_HEADERS } from '../answer.ts'

/** Of every answer to whoever comes from a mail: its address, which may be a secret, is told to nobody, and nothing of it is kept, run or framed. */
export const PAGE_HEADERS = {
  ...SECURITY_HEADERS,
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-robots-tag': 'noindex, nofollow',
} as const

/**
 * A page of a title, some lines and a button that posts to where it is; null: none. Never kept, and its address, which may be a secret, is told to nobody.
 */
export function pageResponse(
  status: number,
  title: string,
  lines: readonly string[],
  button: string | null,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>
body { max-width: 40rem; margin: 3rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, "Segoe UI", Arial, sans-serif }
h1 { font-size: 1.25rem; line-height: 1.3; overflow-wrap: anywhere }
button { padding: .5rem 1rem; font: inherit; cursor: pointer }
</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
${lines.map((line) => `<p>${escaped(line)}</p>\n`).join('')}${button === null ? '' : `<form method="post"><button type="submit">${escaped(button)}</button></form>\n`}</main>
</body>
</html>
`
  return new Response(body, {
    status,
    headers: { ...PAGE_HEADERS, 'content-type': 'text/html; charset=utf-8', ...headers },
  })
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
