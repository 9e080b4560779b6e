/** What a report gives to other programs, parsed. */
import { readFileSync, readdirSync } from 'node:fs'
import { documentsForTools } from '../../../lib/report/documents.ts'
import type { ReportInput } from '../../../lib/report/report-input.ts'
import { viewOf } from '../../../lib/report/report-view.ts'
import { type Summary, summarise } from '../../../lib/report/summary/summary.ts'
import { goldenPath } from '../golden.ts'
import { type WrittenInput, completed, judged, storyOfAWeek } from '../stored/report-input.ts'

export type Prop = { readonly name: string; readonly value: string }
type Related = { readonly 'observation-uuid': string }

export type Observation = {
  readonly uuid: string
  readonly description: string
  readonly props: readonly Prop[]
  readonly subjects?: readonly { readonly 'subject-uuid': string }[]
  readonly collected: string
}

export type Risk = {
  readonly description: string
  readonly uuid: string
  readonly title: string
  readonly status: string
  readonly deadline?: string
  readonly props: readonly Prop[]
  readonly 'related-observations'?: readonly Related[]
}

export type OscalFinding = {
  readonly props: readonly Prop[]
  readonly target: {
    readonly 'target-id': string
    readonly status: { readonly state: string; readonly reason: string }
  }
  readonly 'related-observations': readonly Related[]
}

export type Result = {
  readonly props: readonly Prop[]
  readonly 'local-definitions': {
    readonly components: readonly { readonly uuid: string; readonly title: string }[]
    readonly 'inventory-items'?: readonly {
      readonly uuid: string
      readonly description: string
      readonly props: readonly Prop[]
      readonly 'implemented-components': readonly { readonly 'component-uuid': string }[]
    }[]
  }
  readonly 'assessment-log'?: { readonly entries: readonly { readonly title: string; readonly start: string }[] }
  readonly observations: readonly Observation[]
  readonly risks?: readonly Risk[]
  readonly findings?: readonly OscalFinding[]
}

export type Results = {
  readonly 'assessment-results': {
    readonly uuid: string
    readonly 'import-ap': { readonly href: string }
    readonly results: readonly [Result]
    readonly 'back-matter': {
      readonly resources: readonly {
        readonly uuid: string
        readonly rlinks: readonly { readonly hashes: readonly { readonly value: string }[] }[]
      }[]
    }
  }
}

export type OcsfFinding = {
  readonly activity_id: number
  readonly type_uid: number
  readonly severity_id: number
  readonly status_id: number
  readonly status: string
  readonly finding_info: { readonly uid: string; readonly title: string; readonly created_time?: number }
  readonly compliance: {
    readonly status_id: number
    readonly status_code?: string
    readonly standards: readonly string[]
  }
  readonly resources?: readonly { readonly name: string; readonly owner?: { readonly name: string } }[]
  readonly unmapped: Readonly<Record<string, unknown>>
}

/** The value of a property; undefined where there is none. */
export const propOf = ({ props }: { readonly props: readonly Prop[] }, name: string): string | undefined =>
  props.find((one) => one.name === name)?.value

/** The documents of a summary, as text and parsed. */
export function toldBy(summary: Summary): {
  readonly texts: Readonly<Record<string, string>>
  readonly results: Results
  readonly result: Result
  readonly plan: unknown
  readonly findings: readonly OcsfFinding[]
} {
  const texts = Object.fromEntries(
    documentsForTools(summary, viewOf(summary)).map(({ name, body }) => [name, Buffer.from(body).toString('utf8')]),
  )
  const results = JSON.parse(texts['oscal.json'] ?? '') as Results
  return {
    texts,
    results,
    result: results['assessment-results'].results[0],
    plan: JSON.parse(texts['oscal-plan.json'] ?? ''),
    findings: JSON.parse(texts['ocsf.json'] ?? '') as OcsfFinding[],
  }
}

/** Every golden report and the week with a story, by name. */
export const INPUTS: ReadonlyMap<string, ReportInput> = new Map([
  ...readdirSync(goldenPath('report')).map(
    (name) =>
      [
        name,
        judged(completed(JSON.parse(readFileSync(goldenPath(`report/${name}/input.json`), 'utf8')) as WrittenInput)),
      ] as const,
  ),
  ['a-week', storyOfAWeek()] as const,
])

/** The summary of one of them. */
export function summaryOf(name: string): Summary {
  const input = INPUTS.get(name)
  if (input === undefined) throw new Error(`Cannot find a report named "${name}"`)
  return summarise(input)
}
