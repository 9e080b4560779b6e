import * as z from 'zod'
import { toSeconds, toTime } from '../../time/windows.ts'
import type { Waiver } from '../../model/judgement.ts'
import { compareText } from '../../text/order.ts'
import { RULES } from './rules.ts'
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
import { pattern, textField } from './yaml-fields.ts'

const FIELDS = [
  'cluster',
  'rules',
  'source',
  'destination',
  'port',
  'owner',
  'reason',
  'compensatingControl',
  'expires',
] as const

const RULE_IDS = RULES.map(({ id }) => id)

const END = '"kind/namespace/name", with "*" for any text, or (unmeshed) for who has no mesh identity'

/** `kind/namespace/name`, `external/name`, `(unmeshed)`, `(probe)` or `*`. */
const end = pattern(/^(\*|\(unmeshed\)|\(probe\)|[a-z*]+\/[^\s/]+(\/[^\s/]+)?)$/, END)

const entry = z.strictObject({
  cluster: pattern(
    /^[-a-z0-9*]{1,63}$/,
    'the id of a cluster: a-z, 0-9 and "-", with "*" for any text',
  ).exactOptional(),
  rules: z
    .array(
      z
        .string({ error: ({ input }) => `it is ${yamlKind(input)}, wanted the id of a rule` })
        .refine((id) => RULE_IDS.includes(id), { error: `it is no rule, known are ${RULE_IDS.join(', ')}` }),
      {
        error: ({ input }) =>
          typeof input === 'string' ? `wanted a list: write [${input}]` : `it is ${yamlKind(input)}, wanted a list`,
      },
    )
    .min(1, { error: 'it is an empty list, wanted rules, or no "rules" for every rule' })
    .exactOptional(),
  source: end.exactOptional(),
  destination: end.exactOptional(),
  port: z
    .int({ error: 'wanted a number from 1 to 65535, without quotes' })
    .min(1, { error: 'wanted a number from 1 to 65535' })
    .max(65_535, { error: 'wanted a number from 1 to 65535' })
    .exactOptional(),
  owner: textField('who answers for the exception', 200),
  reason: textField('why it is accepted', 2000),
  compensatingControl: textField('what is done instead', 2000),
  expires: z
    .string({
      error: ({ input }) =>
        input === undefined
          ? 'wanted when it ends, such as 2027-01-31T00:00:00Z: an exception without an end is none'
          : `it is ${yamlKind(input)}, wanted a time such as 2027-01-31T00:00:00Z`,
    })
    .transform((given, context) => {
      const time = readExpiry(given)
      if (typeof time !== 'string') {
        context.addIssue({ code: 'custom', message: time.problem })
        return z.NEVER
      }
      return time
    }),
})

/**
 * Reads the text of `waivers.yaml`: a mapping of ids to exceptions.
 *
 * @returns the waivers by id; or one problem for each error
 */
export function parseWaivers(source: string): Read<readonly Waiver[]> {
  const yaml = readYaml(source)
  if (yaml.value === null) return yaml
  const file = yaml.value
  const problems: Problem[] = []
  const waivers: Waiver[] = []
  for (const [id, given] of Object.entries(file.value)) {
    const what = `waiver "${shortValue(id)}"`
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(id))
      problems.push(
        problemAt(
          file,
          [id],
          `Cannot use "${shortValue(id)}" as the id of a waiver: wanted 1 to 63 of a-z, 0-9 and "-", neither first nor last "-"`,
          true,
        ),
      )
    if (yamlKind(given) !== 'a mapping') {
      problems.push(
        problemAt(
          file,
          [id],
          `Cannot use ${what}: it is ${yamlKind(given)}, wanted a mapping with ${FIELDS.join(', ')}`,
        ),
      )
      continue
    }
    const parsed = entry.safeParse(given)
    if (parsed.success) waivers.push({ id, ...parsed.data })
    else problems.push(...schemaProblems(file, [id], what, parsed.error.issues, FIELDS))
  }
  if (problems.length > 0) return wrong(...problems)
  return { value: waivers.toSorted((a, b) => compareText(a.id, b.id)), problems: [] }
}

/** Returns a time in UTC, or what is wrong with it. */
function readExpiry(given: string): string | { readonly problem: string } {
  const [, date = '', clock, zone] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?(Z|[+-]\d\d:\d\d)?$/.exec(given) ?? []
  if (date === '') return { problem: 'wanted a time such as 2027-01-31T00:00:00Z' }
  if (zone === undefined || clock === undefined)
    return {
      problem: `it has no ${clock === undefined ? 'time of day' : 'time zone'}, write ${date}T${clock ?? '00:00:00'}Z for UTC`,
    }
  try {
    // Invalid dates, such as 30 February, would be read as days of the next month.
    if (new Date(date).toISOString().startsWith(date)) return toTime(toSeconds(given.replace(' ', 'T')))
  } catch {
    // Reported below.
  }
  return { problem: 'no calendar or clock has this time, wanted one such as 2027-01-31T00:00:00Z' }
}
