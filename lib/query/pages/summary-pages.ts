/** Pages that show sections of the report of the last seven days: clusters and the log. */
import { coverageSection } from '../../report/sections/coverage.ts'
import { gapsSection } from '../../report/sections/gaps.ts'
import { verificationSection } from '../../report/sections/verification.ts'
import { monitoredWords } from '../../report/sections/opening.ts'
import { type SectionView, section } from '../../report/section.ts'
import type { Summary } from '../../report/summary/summary.ts'
import { countWords, plural } from '../../report/words/vocabulary.ts'
import { printable } from '../../text/printable.ts'
import { type Wording, wordingOf } from '../../report/words/report-context.ts'
import { labelPast, statusLine } from './frame.ts'
import type { MakePage, PageRequest, PageContent, PageDeps } from './page.ts'
import { hrefOf } from './page-query.ts'

type Sections = {
  readonly title: string
  readonly words: string
  readonly sections: readonly SectionView[]
  readonly links: readonly { readonly href: string; readonly title: string }[]
}

/** Clusters: what was collected and seen of each, and each gap. */
export const clustersPage: MakePage = (asked, deps) =>
  sectionsPage(asked, deps, (wording) => ({
    title: 'Clusters',
    words: monitoredWords(wording.summary),
    sections: [coverageSection(wording), gapsSection(wording)],
    links: wording.summary.clusters.map(({ id }) => ({
      href: hrefOf('/paths', { at: asked.query.past, cluster: id }),
      title: `Paths of cluster ${printable(id)}`,
    })),
  }))

/** The log: what is sealed, and how to check it. */
export const logPage: MakePage = (asked, deps) =>
  sectionsPage(asked, deps, ({ summary }) => {
    const { code } = verificationSection(summary, { isPage: true })
    return {
      title: 'Log',
      words: 'What proves that nothing was changed or removed, and how to check it without this server.',
      sections: [section('log', 'Sealed', { paragraphs: sealWords(summary), code })],
      links: summary.checkpoint === null ? [] : [{ href: '/v1/checkpoint', title: 'The signed checkpoint, as JSON' }],
    }
  })

function sealWords({ checkpoint }: Summary): readonly string[] {
  if (checkpoint === null)
    return [
      'Not sealed: there is no signed checkpoint. Nothing proves that the evidence is unchanged. “ciphertrail seal” makes one, with a key of “ciphertrail key new”.',
    ]
  const { origin, size, attempts, unsealed } = checkpoint
  return [
    `The log ${printable(origin)} has ${plural(size, 'leaf', 'leaves')}. ${attempts === 0 ? 'No attempt was collected in the last seven days.' : unsealed === 0 ? `All ${plural(attempts, 'attempt')} of the last seven days are in it.` : `${countWords(unsealed)} of ${plural(attempts, 'attempt')} of the last seven days are not in it yet. Nothing proves that they are unchanged.`}`,
    'Keep the checkpoint and the key. With them and a copy of the store, anybody can check later that nothing was changed or removed. Compare the key with one from a source other than this page.',
  ]
}

async function sectionsPage(
  { query, grant }: PageRequest,
  { history }: PageDeps,
  make: (wording: Wording) => Sections,
): Promise<PageContent> {
  const status = await history.status({ grant, cluster: query.cluster, at: query.at })
  const summary = labelPast(status.summary, query.past)
  const view = make(wordingOf(summary, { isPage: true }))
  return { title: view.title, template: 'sections', replay: summary.replay, standing: statusLine(summary), view }
}
