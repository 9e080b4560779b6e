import type { Declared } from '../lib/store/registry/declarations.ts'
import type { Console } from './console.ts'
import { toJson } from '../lib/text/format-json.ts'
import { plural } from '../lib/report/words/vocabulary.ts'

/** Says what became of a file that was put in force. */
export function printDeclared(
  what: 'scope' | 'waivers',
  entries: number,
  isChanged: boolean,
  isJson: boolean,
  console: Console,
): void {
  const outcome = isChanged ? 'set' : 'unchanged'
  if (isJson) console.out(toJson({ what, outcome, entries }))
  else
    console.out(`${what === 'scope' ? 'Scope' : 'Waivers'} ${outcome}: ${plural(entries, 'entry', 'entries')} in force`)
}

/** Who put in force what is in force, and when: for the line beside the answer. */
export function declaredBy({ number, at, by }: NonNullable<Declared<unknown>['change']>): string {
  return `Set by ${by} at ${at} (change ${number})`
}
