/** The base URL of links in mails, without a slash at its end; undefined if invalid. */
export function pagesUrl(text: string): string | undefined {
  const url = URL.parse(text)
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== '' ||
    url.password !== '' ||
    text.length > 500
  )
    return undefined
  return url.href.replace(/\/+$/, '')
}
