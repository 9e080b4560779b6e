/** The audit pack of a report: a button that asks for it, how it stands, and its download. */
import { isSealedReport, mayAsk, type PackState } from '../../pack/pack-state.ts'
import { byteWords } from '../../report/words/vocabulary.ts'
import { readReport } from '../../store/evidence/report-records.ts'
import { printable } from '../../text/printable.ts'
import { datesOf } from '../../time/dates.ts'
import { grantedPack } from '../routes/pack-route.ts'
import type { MakePage } from './page.ts'

/** What the page shows below its words; what is empty or null is not shown. */
type PackView = {
  readonly lines: readonly string[]
  readonly download: { readonly href: string; readonly size: string; readonly sha256: string } | null
  readonly codeTitle: string
  readonly code: string
  /** Where the button posts to. */
  readonly button: string
}

/** Makes the page of the pack of a report. Throws a `ProblemError` where there is no such report, or for whoever may have no packs. */
export const packPage: MakePage = async ({ grant, names: { id = '' } }, { objects, now, makesPacks }) => {
  const { key, state } = await grantedPack(id, grant, objects)
  const here = `/reports/${id}/pack`
  const command = `ciphertrail pack --report ${id} --out pack.zip`
  const canMake = makesPacks && mayAsk(state, now()) && (await isSealedReport(key, objects))
  const label = printable((await readReport(key, objects))?.period.label ?? id)
  return {
    title: `Audit pack: ${label}`,
    template: 'pack',
    replay: null,
    standing: '',
    view: {
      title: `The audit pack of ${label.replace(/^Week /, 'week ')}`,
      words:
        'One file for an auditor: the report, the evidence it is derived from, and what proves that nothing was changed since it was sealed. It names all clusters of this store.',
      ...viewOf(state, { id, here, command, canMake, makesPacks }),
      links: [
        ...(state.status === 'asked' ? [{ href: here, title: 'Look again' }] : []),
        { href: '/reports', title: 'All reports' },
      ],
    },
  }
}

function viewOf(
  state: PackState,
  {
    id,
    here,
    command,
    canMake,
    makesPacks,
  }: {
    readonly id: string
    readonly here: string
    readonly command: string
    readonly canMake: boolean
    readonly makesPacks: boolean
  },
): PackView {
  const nothing = { lines: [], download: null, codeTitle: '', code: '', button: canMake ? here : '' }
  const byHand = { codeTitle: 'Make it on a command line', code: command }
  switch (state.status) {
    case 'none':
      if (canMake)
        return {
          ...nothing,
          lines: ['There is none now. It is made when somebody asks for it, and kept beside the report.'],
        }
      if (!makesPacks) return { ...nothing, ...byHand, lines: ['It is not made yet, and this server only shows.'] }
      return {
        ...nothing,
        lines: ['Its report is not sealed yet, which happens within the hour. Then it can be made here.'],
      }
    case 'asked':
      return {
        ...nothing,
        lines: [
          `It was asked for on ${moment(state.at)} and is being made: a small one takes seconds, one of 2 GB some minutes.`,
          ...(canMake ? ['That was long ago: ask again.'] : []),
        ],
      }
    case 'failed':
      return {
        ...nothing,
        ...byHand,
        lines: [`It could not be made on ${moment(state.at)}.`, printable(state.problem)],
      }
    case 'made':
      return {
        ...nothing,
        lines: [
          `Made on ${moment(state.at)}. Give the auditor the public key by another way than this pack. README.txt in it says how to check everything without this server.`,
        ],
        download: { href: `/v1/reports/${id}/pack`, size: byteWords(state.size), sha256: state.sha256 },
        codeTitle: 'Check it, with the key that you have from elsewhere',
        code: `ciphertrail verify ciphertrail-${id}-pack.zip --key KEY`,
      }
  }
}

function moment(at: string): string {
  return `${datesOf({ from: at, to: at, timeZone: 'UTC' }).full(at)} (UTC)`
}
