/** Names on page one, where room is short; the whole name is in the sections that follow. */
import { cutLine, printable } from '../../text/printable.ts'

const MAX_NAMED = 6
const LONGEST_NAME = 48

/** A printable name, cut if it is long. */
export const short = (name: string): string => cutLine(printable(name), LONGEST_NAME)

/** Some names, and how many more there are. */
export function namesOf(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMED).map(short)
  return names.length <= MAX_NAMED ? shown.join(', ') : `${shown.join(', ')} and ${names.length - MAX_NAMED} more`
}
