/** The report as one HTML file: no network, no script, all style inside. */
import { VERDICTS } from '../model/judgement.ts'
import { LOOKS, MARKS, VERDICT_LOOKS } from './drawing/state-looks.ts'
import { SHARED_PARTS, pageTemplate } from './page-template.ts'
import type { ReportView } from './report-view.ts'

const place = pageTemplate(new URL('templates/report.hbs', import.meta.url), [SHARED_PARTS])

const marks = MARKS.map((mark) => ({ mark, fill: LOOKS[mark].fill, fillOnDark: LOOKS[mark].fillOnDark }))
const verdicts = VERDICTS.map((verdict) => {
  const { fill, fillOnDark } = VERDICT_LOOKS[verdict]
  return { mark: `verdict-${verdict}`, fill, fillOnDark }
})

/** What the shared styles are made from: how each mark and verdict looks. */
export const STYLE_LOOKS = { marks, looks: [...marks, ...verdicts] } as const

/** Renders a view. The same view gives the same text; everything in it is escaped. */
export function renderHtml(view: ReportView): string {
  return place({ view, ...STYLE_LOOKS })
}
