/** The parameters of the API, each with the schema that checks it and what is told of it: in problems, and in the OpenAPI document. */
import * as z from 'zod'
import { KINDS } from '../assess/ends/workload-kinds.ts'
import { STATE_FILTERS } from '../model/path.ts'
import { PATH_CHANGE_KINDS } from '../report/summary/change-summary.ts'
import { FLOW_CHANGE_KINDS } from '../report/summary/flow-changes.ts'
import { CLUSTER_ID } from '../store/keys.ts'
import { PERIOD_FORMS } from '../time/period-forms.ts'
import { TIME_FORM, parseTime } from '../time/windows.ts'
import { MAX_CURSOR_LENGTH, MAX_ITEMS, USUAL_ITEMS } from './page.ts'

/** A parameter of a query. */
export type Field<S extends z.ZodType = z.ZodType> = {
  readonly schema: S
  /** What it must be, in words, where it is not. */
  readonly wanted: string
  readonly about: string
  readonly example: string
  /** What no schema can tell of it in JSON Schema. */
  readonly json?: Readonly<Record<string, unknown>>
  /** It may be given several times, and is a list. */
  readonly isRepeated?: true
  /** Nothing is answered without it. */
  readonly isRequired?: true
}

/** The parameters that a place takes. */
export type Fields = Readonly<Record<string, Field>>

/** Longer than any name that Kubernetes allows. */
const MAX_NAME_LENGTH = 300

const CURSOR = 'one that came with an earlier page, as it was'
const ID = 'the id of a cluster: 1 to 63 of a-z, 0-9 and "-"'

const name = z.string().min(1).max(MAX_NAME_LENGTH)
const time = z.string().transform((text, context) => {
  const parsed = parseTime(text)
  if (parsed !== undefined) return parsed
  context.addIssue('no time')
  return z.NEVER
})
const timeOf = (about: string): Field<typeof time> => ({
  schema: time,
  wanted: TIME_FORM,
  about,
  example: '2026-11-24T12:30:00Z',
  json: { type: 'string', format: 'date-time' },
})
const periodOf = (about: string, example: string): Field<z.ZodString> & { readonly isRequired: true } => ({
  schema: z.string().min(1).max(100),
  wanted: PERIOD_FORMS,
  about: `${about}: ${PERIOD_FORMS}.`,
  example,
  isRequired: true,
})

/** One cluster or more. */
export const clusters = {
  schema: z.array(z.string().regex(CLUSTER_ID)),
  wanted: ID,
  about: 'Id of a cluster; may be repeated. Without it all that may be seen.',
  example: 'prod',
  isRepeated: true,
} satisfies Field

/** Of either end. */
export const namespace = {
  schema: name,
  wanted: `a name of at most ${MAX_NAME_LENGTH} characters`,
  about: 'Namespace of either end.',
  example: 'shop',
} satisfies Field

/** Of either end; with a namespace, of the end that has it. */
export const workload = {
  schema: name.transform((text) => {
    const [, kind, rest] = /^([a-z]+)\/(.+)$/s.exec(text) ?? []
    return kind === undefined || rest === undefined ? { name: text } : { kind, name: rest }
  }),
  wanted: `a name or kind/name, such as deployment/web, of at most ${MAX_NAME_LENGTH} characters`,
  about: 'Name or kind/name of either end; with a namespace, of the end that has it.',
  example: 'deployment/web',
  json: { type: 'string', minLength: 1, maxLength: MAX_NAME_LENGTH },
} satisfies Field

/** Of a path. */
export const state = {
  schema: z.enum(STATE_FILTERS),
  wanted: `one of ${STATE_FILTERS.join(', ')}`,
  about:
    'A state; not-encrypted: plaintext and no-mesh-tls that were allowed; or refused: what policy refused, whatever its state.',
  example: 'not-encrypted',
} satisfies Field

/** A period. */
export const from = timeOf('Windows that end after this time.')

/** A period. */
export const to = timeOf('Windows that end at this time or before.')

/** A window. */
export const at = timeOf('The window that holds this time; without it the latest collected one.')

/** A moment. */
export const asOf = timeOf('As of this time; without it now.')

/** The earlier one of two times. */
export const earlier = { ...timeOf('The earlier time.'), isRequired: true } as const

/** The later one of two times. */
export const later = timeOf('The later time; without it the end of what can be collected by now.')

/** How a path differs between two times. */
export const flowChange = {
  schema: z.enum(FLOW_CHANGE_KINDS),
  wanted: `one of ${FLOW_CHANGE_KINDS.join(', ')}`,
  about: 'Only paths that differ so.',
  example: 'new',
} satisfies Field

/** How many items a page has. */
export const limit = {
  schema: z
    .string()
    .regex(/^[1-9]\d{0,3}$/)
    .transform(Number)
    .refine((number) => number <= MAX_ITEMS),
  wanted: `a number from 1 to ${MAX_ITEMS}`,
  about: `Items of a page; without it ${USUAL_ITEMS}.`,
  example: '100',
  json: { type: 'integer', minimum: 1, maximum: MAX_ITEMS },
} satisfies Field

/** Which page. */
export const cursor = {
  schema: z.string(),
  wanted: CURSOR,
  about: 'What the page before has as next, with the same other parameters.',
  example: '',
  json: { type: 'string', pattern: '^[A-Za-z0-9_-]+$', minLength: 1, maxLength: MAX_CURSOR_LENGTH },
} satisfies Field

/** The earlier period of a comparison. */
export const before = periodOf('The earlier period', '2026-W46')

/** The later period of a comparison. */
export const after = periodOf('The later period', '2026-W47')

/** Of weeks, months and days. */
export const timeZone = {
  schema: z.string().min(1).max(100),
  wanted: 'an IANA name, such as Europe/Berlin or UTC',
  about: 'IANA time zone of weeks, months and days; without it UTC.',
  example: 'Europe/Berlin',
} satisfies Field

/** How a path changed. */
export const change = {
  schema: z.enum(PATH_CHANGE_KINDS),
  wanted: `one of ${PATH_CHANGE_KINDS.join(', ')}`,
  about: 'Only changes of this kind.',
  example: 'fixed',
} satisfies Field

/** Of episodes. */
export const open = {
  schema: z.enum(['true', 'false']).transform((text) => text === 'true'),
  wanted: 'true or false',
  about: 'Only those that are open at the end of the period, or only those that ended.',
  example: 'true',
  json: { type: 'string', enum: ['true', 'false'] },
} satisfies Field

const kinds = [...new Set(Object.values(KINDS))].sort()

/** Of either end. */
export const kind = {
  schema: z.enum(kinds),
  wanted: `one of ${kinds.join(', ')}`,
  about: 'Kind of either end.',
  example: 'deployment',
} satisfies Field
