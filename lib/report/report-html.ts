/** The report as one HTML file: no network, no script, all style inside. */
import { readFileSync } from 'node:fs'
import Handlebars from 'handlebars'
import { VERDICTS } from '../model/judgement.ts'
import { LOOKS, MARKS, VERDICT_LOOKS } from './drawing/state-looks.ts'
import type { ReportView } from './report-view.ts'

// In strict mode a missing field throws; known helpers only, so that no name in the data can be taken for one.
const place = Handlebars.create().compile(readFileSync(new URL('templates/report.hbs', import.meta.url), 'utf8'), {
  strict: true,
  knownHelpersOnly: true,
})

const marks = MARKS.map((mark) => ({ mark, fill: LOOKS[mark].fill, fillOnDark: LOOKS[mark].fillOnDark }))
const verdicts = VERDICTS.map((verdict) => {
  const { fill, fillOnDark } = VERDICT_LOOKS[verdict]
  return { mark: `verdict-${verdict}`, fill, fillOnDark }
})

/** Renders a view. The same view gives the same text; everything in it is escaped. */
export function renderHtml(view: ReportView): string {
  return place({ view, marks, looks: [...marks, ...verdicts] }).trimStart()
}
