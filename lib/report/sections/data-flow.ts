/** Who talks to whom, drawn from what was observed: namespaces grouped, what was not encrypted in front. */
import { drawFlow } from '../drawing/flow-drawing.ts'
import type { DrawnPath } from '../drawing/flow-drawing.ts'
import { section } from '../section.ts'
import type { SectionView } from '../section.ts'
import { MARKS } from '../drawing/state-looks.ts'
import { isClear, worstSeen } from '../summary/path-summary.ts'
import type { PathSummary } from '../summary/path-summary.ts'
import type { Summary } from '../summary/summary.ts'
import { plural } from '../words/vocabulary.ts'
import type { Wording } from '../words/report-context.ts'

/** A page of paper is as wide; what is wider lies on its side. */
const PAGE_WIDTH = 499
/** A drawing that is higher has a page of its own. */
const SMALL_HEIGHT = 200

/** A drawing of who talks to whom, for each cluster. */
export function dataFlowSection(wording: Wording): SectionView {
  const { summary } = wording
  const drawings = summary.clusters.flatMap(({ id, classes }) =>
    drawFlow(summary.paths.filter((path) => path.cluster === id && path.observedWindows > 0).flatMap(drawn), {
      cluster: id,
      classes,
      judged: summary.settings.judgedClasses,
      attention: {
        isWanted: ({ mark, lacksEvidence }) => isClear(mark) || mark === 'unknown' || lacksEvidence === true,
        words: (paths) => `that ${paths === 1 ? 'is unencrypted or lacks' : 'are unencrypted or lack'} evidence`,
        noneWords: 'none of them unencrypted or without enough evidence',
        keepsWorkloads: false,
      },
      // Of one mark, what lacks evidence lies on what has a verdict.
      rankOf: ({ mark, lacksEvidence }: DrawnPath) => (lacksEvidence === true ? 0.5 : 0) - MARKS.indexOf(mark),
      words: (boxes, arrows) =>
        `Data flow: ${plural(boxes, 'box', 'boxes')}, ${plural(arrows.length, 'arrow')}, ${arrows.filter(({ mark }) => isClear(mark)).length} of them unencrypted, ${arrows.filter(({ mark }) => mark === 'unknown').length} unknown and ${arrows.filter(({ lacksEvidence }) => lacksEvidence).length} with too little seen for a verdict. The tables of paths hold the same.`,
    }),
  )
  return section('data-flow', 'Data flow, as observed', {
    isOnNewPage: drawings.some(({ width, height }) => width > PAGE_WIDTH || height > SMALL_HEIGHT),
    isLandscape: drawings.some(({ width, height }) => width > PAGE_WIDTH && width > height),
    paragraphs: drawings.length === 0 ? ['No traffic was seen that could be drawn.'] : [explained(summary)],
    drawings,
  })
}

/** A path as the worst that was seen of it; exempt traffic is left out. */
function drawn(path: PathSummary): readonly DrawnPath[] {
  const { source, destination, port, candidates } = path
  const mark = worstSeen(path)
  if (mark === 'exempt') return []
  const lacksEvidence = path.verdict === 'not-enough-evidence' && mark !== 'unknown'
  return [{ source, destination, port, candidates, mark, lacksEvidence }]
}

function explained({ paths }: Summary): string {
  return [
    'Drawn from observed traffic only; exempt traffic is left out. Each arrow shows the worst state that was seen of its paths: thick (▲) for plaintext, dashed (△) for no mesh TLS, dotted (?) for unknown in at least one window; ●, ◐ and ○ are encrypted. A second ?, as in ●?, means that too little was seen for a verdict: what was not seen may be unencrypted. Numbers on arrows are ports. Each (unmeshed) box is the clients without a mesh identity at one port.',
    ...(paths.some(({ candidates }) => candidates.length > 0)
      ? ['“perhaps” names the workloads that such a client may be.']
      : []),
    ...(paths.some(({ source }) => source.kind === 'serviceaccount')
      ? ['“account” names a client of which only the ServiceAccount is known.']
      : []),
  ].join(' ')
}
