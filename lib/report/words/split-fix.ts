/** The text of a fix in steps, so that each command can be copied without the words around it. */
import { printable } from '../../text/printable.ts'

/** Words, then the command that they are about; one of the two may be empty. A long command has several lines, which a shell reads as one. */
export type FixStep = { readonly text: string; readonly command: readonly string[] }

/** What a page of paper holds in one line. */
const LONGEST_LINE = 112

const COMMAND = /^(?:kubectl|linkerd) /u

/** What the plain text says of commands that are comments there, so that the whole of it can be pasted without harm. */
const UNCOMMENT = /, run the next lines? without the #:$/u

/** Splits a fix (a sentence, then a command or a comment a line) into steps, in order. Names are made printable. */
export function fixSteps(fix: string): readonly FixStep[] {
  const lines = fix.split('\n').map(printable)
  return lines.reduce<FixStep[]>((steps, line) => {
    if (line === '') return steps
    const isComment = line.startsWith('# ')
    const words = isComment ? line.slice(2) : line
    if (!COMMAND.test(words)) return [...steps, { text: ended(isComment ? sentence(words) : words), command: [] }]
    const last = steps.at(-1)
    // The words that lead to a command, and the command, are one step.
    const isLed = last?.command.length === 0 && last.text.endsWith(':')
    return isLed
      ? [...steps.slice(0, -1), { text: last.text, command: commandLines(words) }]
      : [...steps, { text: '', command: commandLines(words) }]
  }, [])
}

/** A sentence with an end: a colon stays one. */
function ended(words: string): string {
  const told = words.replace(UNCOMMENT, ':')
  return /[.:]$/u.test(told) ? told : `${told}.`
}

const sentence = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1)

/** A command in lines that end with a backslash, broken before options only. */
export function commandLines(command: string): readonly string[] {
  if (command.length <= LONGEST_LINE) return [command]
  const parts = (command.match(/(?:'[^']*'|[^\s'])+/gu) ?? []).reduce<string[]>((done, word) => {
    const last = done.at(-1)
    return last === undefined || word.startsWith('-') ? [...done, word] : [...done.slice(0, -1), `${last} ${word}`]
  }, [])
  // A quote that does not end, or white space that counts: left as it is.
  if (parts.join(' ') !== command) return [command]
  const lines = parts.reduce<string[]>((done, part) => {
    const last = done.at(-1)
    if (last === undefined) return [part]
    const joined = `${last} ${part}`
    return joined.length <= LONGEST_LINE - 2 ? [...done.slice(0, -1), joined] : [...done, `  ${part}`]
  }, [])
  return lines.map((line, index) => (index === lines.length - 1 ? line : `${line} \\`))
}
