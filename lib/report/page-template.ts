import { readFileSync } from 'node:fs'
import Handlebars from 'handlebars'

/** Places content into a page; everything in it is escaped. */
export type PageTemplate = (content: object) => string

/** Reads and compiles a template of Handlebars. */
export function pageTemplate(file: URL): PageTemplate {
  // In strict mode a missing field throws; known helpers only, so that no name in the data can be taken for one.
  const place = Handlebars.create().compile(readFileSync(file, 'utf8'), { strict: true, knownHelpersOnly: true })
  return (content) => place(content).trimStart()
}
