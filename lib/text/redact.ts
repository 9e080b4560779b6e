const MAX_TEXT_LENGTH = 200

/** One line without control, format or bidirectional characters, at most 200 characters: text from servers and files is hostile. */
export function oneLine(text: string): string {
  const clean = text
    .slice(0, 4 * MAX_TEXT_LENGTH)
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim()
  return clean.length > MAX_TEXT_LENGTH ? `${clean.slice(0, MAX_TEXT_LENGTH).toWellFormed()}…` : clean
}

/** One line of a server's text in which credentials, known or apparent, are replaced. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text
  for (const secret of secrets) if (secret !== '') clean = clean.replaceAll(secret, '[redacted]')
  return oneLine(
    clean
      .replaceAll(/(bearer)\s+[\w+/.~=-]+/gi, '$1 [redacted]')
      .replaceAll(/\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, '[redacted]') // a JSON web token
      .replaceAll(/\bk8s-aws-v1\.[\w-]+/g, '[redacted]') // an EKS token
      .replaceAll(/\/\/[^/\s@]*@/g, '//[redacted]@'),
  )
}
