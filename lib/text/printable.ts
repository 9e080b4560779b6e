/** Makes text from clusters safe to print. Names, reasons and error lines are hostile input everywhere. */

// Controls, format characters (bidi, zero width), surrogates, private use and unassigned; every space but U+0020; combining marks (they would overwrite their
// neighbours); and characters that are invisible although they count as letters or symbols.
const UNPRINTABLE = /[\p{C}\p{Z}\p{M}\p{Default_Ignorable_Code_Point}\u2800\uFFFC]/gu

const BEYOND_ASCII = /[^\x20-\x7E]/

/**
 * Shows invisible characters, and those that change how their neighbours appear, as `[U+202E]`; the rest is unchanged. So an escape sequence has no effect in a
 * terminal, and no name can reverse the text around it. Idempotent.
 */
export function printable(text: string): string {
  // Nearly all names are ASCII: they are not searched by the long class, which every space would match.
  if (!BEYOND_ASCII.test(text)) return text
  return text.replace(UNPRINTABLE, (character) => (character === ' ' ? character : codePointName(character)))
}

/** Truncates a printable line, with `…` if characters are left out: a truncated text must not look complete. No character is split. */
export function cutLine(line: string, longest: number): string {
  const [start = ''] = new RegExp(`^.{0,${longest}}`, 'su').exec(line) ?? []
  return start === line ? line : `${start} …`
}

/** The code point of a character, such as `[U+202E]`. */
export function codePointName(character: string): string {
  const codePoint = character.codePointAt(0) ?? 0
  return `[U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}]`
}

/** The longest part of a name without a place for a line break. */
const UNBROKEN = 18

/**
 * Splits a printable name where a line may break: after `.`, `/`, `-` and `:`, and inside a word only if it is longer than 24 characters. The joined pieces are
 * the name.
 */
export function breakable(name: string): readonly string[] {
  return name.split(/(?<=[./:-])/u).flatMap((word) => word.match(new RegExp(`.{1,${UNBROKEN}}`, 'gsu')) ?? [])
}
