/** Rows about paths, those of each class that is not judged apart. */
import type { ReportSettings } from '../lib/model/judgement.ts'
import { PATH_CLASSES, type PathClass } from '../lib/model/path.ts'
import { CLASS_WORDS, plural } from '../lib/report/words/vocabulary.ts'

/**
 * The rows of judged classes as one table, then those of each other class as a table under its name; a class without rows has none.
 *
 * @param noun what a row is, such as `episode`
 */
export function tablesByClass<Row extends { readonly class: PathClass }>(
  found: readonly Row[],
  { judgedClasses }: Pick<ReportSettings, 'judgedClasses'>,
  noun: string,
  tableOf: (rows: readonly Row[]) => readonly string[],
): readonly string[] {
  const judged = found.filter(({ class: of }) => judgedClasses.includes(of))
  const tables = judged.length === 0 ? [] : [tableOf(judged)]
  for (const of of PATH_CLASSES.filter((one) => !judgedClasses.includes(one))) {
    const rows = found.filter((row) => row.class === of)
    if (rows.length === 0) continue
    tables.push([`${plural(rows.length, noun)} of ${CLASS_WORDS[of]}, not judged:`, ...tableOf(rows)])
  }
  return tables.flatMap((lines, index) => (index === 0 ? lines : ['', ...lines]))
}
