/** How text that comes from clusters is made fit to print. Names, reasons and error lines are hostile input everywhere. */

// Controls, format characters (bidi, zero width), surrogates, private use and unassigned; every space but U+0020; combining
// marks (they would write over their neighbours); and what draws nothing although it counts as a letter or a symbol.
const UNPRINTABLE = /[\p{C}\p{Z}\p{M}\p{Default_Ignorable_Code_Point}\u2800\uFFFC]/gu

/**
 * Shows what cannot be seen, or would change how its neighbours are seen, as `[U+202E]`; everything else stays. So an escape
 * sequence does nothing in a terminal, and no name can turn the text around it. Doing it twice changes nothing more.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => (character === ' ' ? character : codePointName(character)))
}

/** The first characters of a printable line, with `…` where some are left out: what is cut must not read as whole. No character is cut in two. */
export function cutLine(line: string, longest: number): string {
  const [start = ''] = new RegExp(`^.{0,${longest}}`, 'su').exec(line) ?? []
  return start === line ? line : `${start} …`
}

/** The code point of a character as `[U+202E]`. */
export function codePointName(character: string): string {
  const codePoint = character.codePointAt(0) ?? 0
  return `[U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}]`
}

/** The longest stretch of a name without a place where a line may end. */
const UNBROKEN = 18

/**
 * Cuts a printable name where a line may end: after `.`, `/`, `-` and `:`, and inside a word only where it is longer than
 * 24 characters. The pieces joined are the name.
 */
export function breakable(name: string): readonly string[] {
  return name.split(/(?<=[./:-])/u).flatMap((word) => word.match(new RegExp(`.{1,${UNBROKEN}}`, 'gsu')) ?? [])
}
