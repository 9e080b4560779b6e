import * as z from 'zod'
import type { Scope } from '../../model/judgement.ts'
import { PATH_CLASSES } from '../../model/path.ts'
import { compareText } from '../../text/order.ts'
import { FRAMEWORKS } from './controls.ts'
import {
  type Problem,
  type Read,
  yamlKind,
  problemAt,
  readYaml,
  schemaProblems,
  shortValue,
  wrong,
} from '../../text/yaml.ts'
import type { DeclaredScope } from './stored-scope.ts'
import { names, pattern, textField } from './yaml-fields.ts'

const FIELDS = ['clusters', 'namespaces', 'labels', 'wantedShare', 'owner', 'reason'] as const

/** Key of the settings for the whole report. */
const REPORT = 'report'

/** A valid Kubernetes label name. */
const LABEL_NAME = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

const label = z.string({
  error: ({ input }) =>
    typeof input === 'boolean' || typeof input === 'number'
      ? `labels are text, write "${String(input)}" in quotes`
      : `it is ${yamlKind(input)}, wanted text`,
})

/** Written in percent, stored as a fraction of 1. */
const wantedShare = z
  .number({ error: ({ input }) => `it is ${yamlKind(input)}, wanted a number of percent such as 99.5` })
  .gt(0, { error: 'wanted more than 0 and at most 100 percent' })
  .max(100, { error: 'wanted more than 0 and at most 100 percent' })
  .transform((percent) => percent / 100)

const namespaceNames = names(
  pattern(/^[-a-z0-9*]{1,63}$/, 'the name of a namespace: a-z, 0-9 and "-", with "*" for any text'),
)

const report = z.strictObject({
  organisation: textField('whose report it is', 200).optional(),
  preparedBy: textField('who prepared it', 200).optional(),
  wantedShare: wantedShare.optional(),
  judge: z
    .array(z.enum(PATH_CLASSES, { error: `wanted one of ${PATH_CLASSES.join(', ')}` }), {
      error: ({ input }) => `it is ${yamlKind(input)}, wanted a list of ${PATH_CLASSES.join(', ')}`,
    })
    .min(1, { error: `wanted one of ${PATH_CLASSES.join(', ')} at least` })
    .optional(),
  platformNamespaces: namespaceNames.optional(),
  ownerLabel: pattern(LABEL_NAME, 'the name of a label such as app.kubernetes.io/part-of').optional(),
})

const REPORT_FIELDS = Object.keys(report.shape)

const entry = z.strictObject({
  clusters: names(pattern(/^[-a-z0-9*]{1,63}$/, 'the id of a cluster: a-z, 0-9 and "-", with "*" for any text')),
  namespaces: namespaceNames,
  labels: z
    .record(z.string(), label, {
      error: ({ input }) => `it is ${yamlKind(input)}, wanted a mapping such as {tier: backend}`,
    })
    .default({}),
  wantedShare: wantedShare.optional(),
  owner: textField('who answers for the scope', 200),
  reason: textField('why this is the scope', 2000),
})

/**
 * Reads the text of `scope.yaml`: for each framework one scope, or a list of alternatives, and the settings of the whole report.
 *
 * @returns the scopes by framework, then in the order of the text; or one problem for each error
 */
export function readScopes(source: string): Read<DeclaredScope> {
  const yaml = readYaml(source)
  if (yaml.value === null) return yaml
  const file = yaml.value
  const problems: Problem[] = []
  const scopes: Scope[] = []
  const known = FRAMEWORKS.map(({ id }) => id)
  let ofReport: DeclaredScope['report'] = {}
  for (const [framework, given] of Object.entries(file.value)) {
    if (framework === REPORT) {
      const parsed = report.safeParse(given)
      if (parsed.success) ofReport = parsed.data
      else problems.push(...schemaProblems(file, [REPORT], `"${REPORT}"`, parsed.error.issues, REPORT_FIELDS))
      continue
    }
    if (!known.includes(framework)) {
      problems.push(
        problemAt(
          file,
          [framework],
          `Cannot use "${framework}" as framework: it is not one that is judged, known are ${known.join(', ')}, and "${REPORT}" for what concerns the whole report`,
          true,
        ),
      )
      continue
    }
    const isList = Array.isArray(given)
    const entries: readonly unknown[] = isList ? given : [given]
    if (entries.length === 0)
      problems.push(
        problemAt(
          file,
          [framework],
          `Cannot use an empty list as scope of "${framework}": wanted one scope at least, or no "${framework}"`,
        ),
      )
    for (const [index, one] of entries.entries()) {
      const base = isList ? [framework, index] : [framework]
      if (yamlKind(one) !== 'a mapping') {
        problems.push(
          problemAt(
            file,
            base,
            `Cannot use the scope of "${framework}": it is ${yamlKind(one)}, wanted a mapping with ${FIELDS.join(', ')}`,
          ),
        )
        continue
      }
      const unfit = labelNames(one).filter((name) => !LABEL_NAME.test(name))
      for (const name of unfit)
        problems.push(
          problemAt(
            file,
            [...base, 'labels', name],
            `Cannot use "${shortValue(name)}" as a label of the scope of "${framework}": no label has such a name, wanted one such as app.kubernetes.io/part-of`,
            true,
          ),
        )
      if (unfit.length > 0) continue
      const parsed = entry.safeParse(one)
      if (parsed.success) scopes.push({ framework, ...parsed.data })
      else problems.push(...schemaProblems(file, base, `the scope of "${framework}"`, parsed.error.issues, FIELDS))
    }
  }
  if (problems.length > 0) return wrong(...problems)
  return {
    value: { scopes: scopes.toSorted((a, b) => compareText(a.framework, b.framework)), report: ofReport },
    problems: [],
  }
}

function labelNames(given: unknown): string[] {
  const labels = (given as { readonly labels?: unknown }).labels
  return yamlKind(labels) === 'a mapping' ? Object.keys(labels as object) : []
}
