import * as z from 'zod'
import type { Scope } from '../../model/judgement.ts'
import { compareText } from '../../text/order.ts'
import { FRAMEWORKS } from './controls.ts'
import {
  type Problem,
  type Read,
  yamlKind,
  problemAt,
  readYaml,
  schemaProblems,
  short,
  wrong,
} from '../../text/yaml.ts'
import { names, pattern, textField } from './yaml-fields.ts'

const FIELDS = ['clusters', 'namespaces', 'labels', 'owner', 'reason'] as const

/** What Kubernetes takes as the name of a label. */
const LABEL_NAME = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

const label = z.string({
  error: ({ input }) =>
    typeof input === 'boolean' || typeof input === 'number'
      ? `labels are text, write "${String(input)}" in quotes`
      : `it is ${yamlKind(input)}, wanted text`,
})

const entry = z.strictObject({
  clusters: names(pattern(/^[-a-z0-9*]{1,63}$/, 'the id of a cluster: a-z, 0-9 and "-", with "*" for any text')),
  namespaces: names(pattern(/^[-a-z0-9*]{1,63}$/, 'the name of a namespace: a-z, 0-9 and "-", with "*" for any text')),
  labels: z
    .record(z.string(), label, {
      error: ({ input }) => `it is ${yamlKind(input)}, wanted a mapping such as {tier: backend}`,
    })
    .default({}),
  owner: textField('who answers for the scope', 200),
  reason: textField('why this is the scope', 2000),
})

/** Stored scopes as they are read back. */
const storedScopes = z.object({
  format: z.literal('ciphertrail/scope/1'),
  scopes: z
    .array(
      z.object({
        framework: z.string(),
        clusters: z.array(z.string()),
        namespaces: z.array(z.string()),
        labels: z.record(z.string(), z.string()),
        owner: z.string(),
        reason: z.string(),
      }),
    )
    .readonly(),
})

/**
 * Reads the text of `scope.yaml`: for each framework one scope, or a list of them, of which any may hold.
 *
 * @returns the scopes by framework, then in the order of the text; or one problem for each thing that is wrong
 */
export function readScopes(source: string): Read<readonly Scope[]> {
  const yaml = readYaml(source)
  if (yaml.value === null) return yaml
  const file = yaml.value
  const problems: Problem[] = []
  const scopes: Scope[] = []
  const known = FRAMEWORKS.map(({ id }) => id)
  for (const [framework, given] of Object.entries(file.value)) {
    if (!known.includes(framework)) {
      problems.push(
        problemAt(
          file,
          [framework],
          `Cannot use "${framework}" as framework: it is not one that is judged, known are ${known.join(', ')}`,
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
            `Cannot use "${short(name)}" as a label of the scope of "${framework}": no label has such a name, wanted one such as app.kubernetes.io/part-of`,
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
  return { value: scopes.toSorted((a, b) => compareText(a.framework, b.framework)), problems: [] }
}

function labelNames(given: unknown): string[] {
  const labels = (given as { readonly labels?: unknown }).labels
  return yamlKind(labels) === 'a mapping' ? Object.keys(labels as object) : []
}

/** Scopes as they are stored: JSON without a place for anything else. */
export function encodeScopes(scopes: readonly Scope[]): unknown {
  return { format: 'ciphertrail/scope/1', scopes }
}

/** Reads what {@link encodeScopes} gave; undefined of anything else. */
export function decodeScopes(stored: unknown): readonly Scope[] | undefined {
  return storedScopes.safeParse(stored).data?.scopes
}
