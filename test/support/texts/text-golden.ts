/** The texts of one test file, in the order of their tests: for each test its name and its texts, as they are shown in the golden. */
export type TextGolden = ReadonlyMap<string, readonly string[]>

/** What a test puts in a text, by the name that stands for it in the golden. */
export type TextValues = Readonly<Record<string, string | number>>

const ANY = '⟨…⟩'
const NUMBER = '⟨number⟩'
const PLACEHOLDER = /⟨[^⟩\n]*⟩/u

// Whatever cannot be seen or would change how the rest is read; ⟨ and a backslash before u{ are shown so, as they have a meaning here.
const NOT_SHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}⟨⟩]|\\(?=u\{)/gu

const shownPart = (text: string): string =>
  text.replace(NOT_SHOWN, (found) => (found === '\n' ? found : `\\u{${found.codePointAt(0)?.toString(16)}}`))

const indented = (text: string, mark: '|' | '-'): string =>
  shownPart(text)
    .split('\n')
    .map((line, index) => `  ${index === 0 ? mark : '|'}${line === '' ? '' : ` ${line}`}`)
    .join('\n')

/** A text, or a list of them, as it stands in a golden: each line behind `|`, the first line of each text of a list behind `-`. */
export function shownText(text: string | readonly string[]): string {
  if (typeof text === 'string') return indented(text, '|')
  return text.length === 0 ? indented('(none)', '|') : text.map((each) => indented(each, '-')).join('\n')
}

/** Of what a text of many alike in a test is: a line before it, of 120 characters at most. Lists of words are joined, whatever else is no text stands as JSON. */
export function shownSubject(of: unknown): string {
  const isWords = Array.isArray(of) && of.every((each) => typeof each === 'string')
  const text = typeof of === 'string' ? of : isWords ? of.join(' ') : JSON.stringify(of)
  const line = shownPart(text.replaceAll('\n', '\\n'))
  return `  of ${line.length > 120 ? `${line.slice(0, 119)}…` : line}`.trimEnd()
}

/** Reads a golden. Throws for a line that is neither a name nor of a text. */
export function parseTextGolden(golden: string): TextGolden {
  const texts = new Map<string, string[]>()
  for (const block of golden.split(/\n{2,}/).filter((each) => each.trim() !== '')) {
    const lines = block.replace(/\n$/, '')
    const last = [...texts.values()].at(-1)
    if (/^\S[^\n]*$/.test(lines) && !texts.has(lines)) texts.set(lines, [])
    else if (last && lines.split('\n').every((line) => /^ {2}([|-]|of)( |$)/.test(line))) last.push(lines)
    else throw new Error(`Cannot read texts: wanted the name of a test, once, or lines behind | or -, not "${lines}"`)
  }
  return texts
}

/** A golden as its file holds it. */
export function printTextGolden(golden: TextGolden): string {
  const tests = [...golden].filter(([, texts]) => texts.length > 0)
  return `${tests.map(([name, texts]) => [name, ...texts].join('\n\n')).join('\n\n')}\n`
}

/** The name of a test as one line of a golden. */
export const shownName = (name: string): string => shownPart(name.replaceAll('\n', ' ')).trim()

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)

/**
 * Whether a shown text is the one of the golden. There `⟨…⟩` stands for anything within a line, at the beginning or the end for anything, as a line of its own for
 * any lines; `⟨number⟩` for digits, and `⟨name⟩` for the value of that name. Throws for a name without a value, and for a value that the golden does not use.
 */
export function isSameText(golden: string, shown: string, values: TextValues = {}): boolean {
  const unused = new Set(Object.keys(values))
  const part = (text: string): string => {
    if (text === ANY) return '[^\\n]*'
    if (text === NUMBER) return '\\d+'
    if (!PLACEHOLDER.test(text)) return literal(text)
    const name = text.slice(1, -1)
    const value = values[name]
    if (value === undefined) throw new Error(`Cannot compare a text: it has ${text}, for which the test gives no value`)
    unused.delete(name)
    return literal(shownPart(`${value}`))
  }
  const lines = golden.split('\n')
  const start = lines[0]?.startsWith('  of') === true ? 1 : 0
  const last = lines.length - 1
  const pattern = lines.map((line, index) => {
    if (line === `  | ${ANY}`) return '(?:  \\|[^\\n]*\\n)*'
    let text = line
    let [before, after] = ['', index === last ? '' : '\\n']
    if (index === start && text.startsWith(`  | ${ANY}`)) [text, before] = [text.slice(4 + ANY.length), '  \\|[^]*']
    if (index === last && text.endsWith(ANY)) [text, after] = [text.slice(0, -ANY.length), '[^]*']
    return `${before}${text
      .split(/(⟨[^⟩\n]*⟩)/u)
      .map(part)
      .join('')}${after}`
  })
  const isSame = new RegExp(`^${pattern.join('')}$`, 'u').test(lines[last] === `  | ${ANY}` ? `${shown}\n` : shown)
  if (unused.size > 0)
    throw new Error(
      `Cannot compare a text: the test gives a value for ⟨${[...unused].join('⟩, ⟨')}⟩, and the golden has none`,
    )
  return isSame
}

/**
 * A new shown text as it is to stand in the golden in place of another: with the names of the values, and with `⟨…⟩` and `⟨number⟩` where the old one has them between the
 * same words. Whoever reviews it sees whether they still stand where they should.
 */
export function renewedText(old: string, shown: string, values: TextValues = {}): string {
  const words = (text: string): string[] => text.match(/⟨[^⟩\n]*⟩|[\p{L}\p{N}]+|[^]/gu) ?? []
  let named = shown
  const byLength = Object.entries(values).toSorted(([, a], [, b]) => `${b}`.length - `${a}`.length)
  for (const [name, value] of byLength)
    if (`${value}` !== '') named = named.replaceAll(shownPart(`${value}`), `⟨${name}⟩`)
  const before = words(old)
  const isAny = (word: string | undefined): boolean => word === ANY || word === NUMBER
  if (!before.some(isAny)) return named
  const now = words(named)

  // The longest subsequence of words that both have, by their letters.
  const width = now.length + 1
  const best = new Float64Array((before.length + 1) * width)
  const gain = (i: number, j: number): number =>
    before[i] === now[j] && !isAny(before[i]) ? 1 + 10 * (before[i]?.trim().length ?? 0) : 0
  for (let i = before.length - 1; i >= 0; i -= 1)
    for (let j = now.length - 1; j >= 0; j -= 1) {
      const both = gain(i, j)
      const matched = both > 0 ? both + (best[(i + 1) * width + j + 1] ?? 0) : 0
      best[i * width + j] = Math.max(matched, best[(i + 1) * width + j] ?? 0, best[i * width + j + 1] ?? 0)
    }
  const result: string[] = []
  let [fromOld, fromNew] = [0, 0]
  const closeGap = (toOld: number, toNew: number): void => {
    const [oldGap, newGap] = [before.slice(fromOld, toOld), now.slice(fromNew, toNew)]
    const [first, final] = [oldGap.findIndex(isAny), oldGap.findLastIndex(isAny)]
    const behind = oldGap.length - 1 - final
    if (first === -1 || first + behind > newGap.length) result.push(...newGap)
    else result.push(...newGap.slice(0, first), oldGap[first] ?? '', ...newGap.slice(newGap.length - behind))
  }
  for (let [i, j] = [0, 0]; i < before.length && j < now.length;) {
    const both = gain(i, j)
    const here = best[i * width + j] ?? 0
    if (both > 0 && here === both + (best[(i + 1) * width + j + 1] ?? 0)) {
      closeGap(i, j)
      result.push(now[j] ?? '')
      ;[i, j] = [i + 1, j + 1]
      ;[fromOld, fromNew] = [i, j]
    } else if (here === (best[(i + 1) * width + j] ?? 0)) i += 1
    else j += 1
  }
  closeGap(before.length, now.length)
  return result.join('')
}
