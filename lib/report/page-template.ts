import { readFileSync } from 'node:fs'
import Handlebars from 'handlebars'

/** Places content into a page; everything in it is escaped. */
export type PageTemplate = (content: object) => string

/**
 * Reads and compiles a template of Handlebars.
 *
 * @param parts files of inline partials that it uses; of two with the same name the later one holds
 */
export function pageTemplate(file: URL, parts: readonly URL[] = []): PageTemplate {
  const source = [...parts, file].map((one) => readFileSync(one, 'utf8')).join('')
  // In strict mode a missing field throws; known helpers only, so that no name in the data can be taken for one.
  const place = Handlebars.create().compile(source, { strict: true, knownHelpersOnly: true })
  return (content) => place(content).trimStart()
}

/** What the report and the pages share: cells, tables and sections as inline partials, the styles and the patterns of fills. */
export const SHARED_PARTS = new URL('templates/parts.hbs', import.meta.url)
