/** A terminal as SVG: what was typed and what was printed, with the colours of its escape sequences. */

/** The colours that the command line uses, by the number of their escape sequence. */
const COLOURS: Readonly<Record<string, string>> = {
  '31': '#f28b82',
  '32': '#81c995',
  '33': '#fdd663',
  '34': '#8ab4f8',
  '35': '#d7aefb',
  '36': '#78d9ec',
  '90': '#9aa0a6',
}

const [CHARACTER, LINE, MARGIN] = [8.4, 20, 16]

/** The characters before an escape sequence, and the colour that holds for them. */
type Piece = { readonly text: string; readonly colour: string | undefined }

/** Takes a printed line apart at its escape sequences. */
function piecesOf(line: string): Piece[] {
  let colour: string | undefined
  // eslint-disable-next-line no-control-regex -- escape sequences are what this is about
  return line.split(/(\u001B\[[\d;]*m)/).flatMap((part) => {
    if (!part.startsWith('\u001B')) return part === '' ? [] : [{ text: part, colour }]
    colour = COLOURS[part.slice(2, -1)]
    return []
  })
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** The picture of a terminal in which a command was typed that printed this. */
export function terminalSvg(typed: string, printed: string): string {
  const lines = [
    [
      { text: '$ ', colour: COLOURS['90'] },
      { text: typed, colour: '#ffffff' },
    ],
    ...printed.trimEnd().split('\n').map(piecesOf),
  ]
  const columns = Math.max(...lines.map((line) => line.reduce((sum, { text }) => sum + text.length, 0)))
  const width = Math.ceil(columns * CHARACTER) + 2 * MARGIN
  const height = lines.length * LINE + 2 * MARGIN
  const rows = lines.map((line, index) => {
    const spans = line.map(({ text, colour }) =>
      colour === undefined ? escaped(text) : `<tspan fill="${colour}">${escaped(text)}</tspan>`,
    )
    return `<text x="${MARGIN}" y="${MARGIN + index * LINE + 14}" xml:space="preserve">${spans.join('')}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(typed).replaceAll('"', '&quot;')}">
<rect width="100%" height="100%" rx="8" fill="#202124"/>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#e8eaed">
${rows.join('\n')}
</g>
</svg>
`
}
