import { readFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'

/** What conditions may look at. */
export type RequestContext = {
  /** Of a list. */
  readonly prefix?: string | undefined
  /** Of a put. */
  readonly ifNoneMatch?: string | undefined
  readonly ifMatch?: string | undefined
  /** Of a put: false for the steps of an upload in parts before its last one, which create nothing. */
  readonly isCreation?: boolean | undefined
  /** Of a put that locks, or of a lock: `GOVERNANCE` or `COMPLIANCE`, and for how many days from now. */
  readonly lockMode?: string | undefined
  readonly lockedDays?: number | undefined
  /** Of a mail. */
  readonly fromAddress?: string | undefined
}

/** A policy, and which of what it allows was ever needed. */
export type Policy = {
  readonly allows: (action: string, resource: string, context?: RequestContext) => boolean
  /** Actions of statements for which nobody asked yet. */
  readonly unused: () => string[]
}

/** The conditions of a statement: all of them must hold. */
export type Condition = Readonly<Record<string, Readonly<Record<string, string | number>>>>

/** What a request says of the lock that it asks for, at a time. */
export function lockOf(headers: IncomingHttpHeaders, now: Date): Pick<RequestContext, 'lockMode' | 'lockedDays'> {
  const [mode, until] = ['mode', 'retain-until-date'].map((name) => headers[`x-amz-object-lock-${name}`]?.toString())
  return {
    lockMode: mode,
    lockedDays: until === undefined ? undefined : Math.floor((Date.parse(until) - now.getTime()) / 86_400_000),
  }
}

type Statement = {
  readonly Effect: string
  readonly Action: string | readonly string[]
  readonly Resource: string | readonly string[]
  readonly Condition?: Condition
}

/** The policy that docs/s3.md gives under a name. Throws for what it does not understand, since that would be passed over else. */
export function policyOfDocs(name: string): Policy {
  const docs = readFileSync(join(import.meta.dirname, '../../../docs/s3.md'), 'utf8')
  const [, json = ''] = new RegExp(`\`\`\`json ${name}\n(.*?)\`\`\``, 's').exec(docs) ?? []
  const { Statement: statements } = JSON.parse(json) as { Statement: readonly Statement[] }
  const grants = statements.flatMap((statement, index) => {
    const { Condition: condition, ...rest } = statement
    if (rest.Effect !== 'Allow' || Object.keys(rest).length !== 3)
      throw new Error(`Cannot judge by policy "${name}": statement ${index} is more than an action and a resource`)
    const holds = conditionOf(condition, `statement ${index} of policy "${name}"`)
    const resources = [statement.Resource].flat()
    return [statement.Action]
      .flat()
      .map((action) => ({ name: `${action} of statement ${index}`, action, resources, holds }))
  })
  const unused = new Set(grants.map((grant) => grant.name))
  return {
    allows: (action, resource, context = {}) => {
      const granting = grants.filter(
        (grant) =>
          grant.action === action &&
          grant.resources.some((pattern) => covers(pattern, resource)) &&
          grant.holds(context),
      )
      for (const grant of granting) unused.delete(grant.name)
      return granting.length > 0
    },
    unused: () => [...unused],
  }
}

/** When a condition holds. Throws for one that it does not know. */
export function conditionOf(condition: Condition | undefined, where: string): (context: RequestContext) => boolean {
  const tests = Object.entries(condition ?? {}).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, value]) => {
      const test = CONDITIONS[`${operator} ${key}`]
      if (test === undefined) throw new Error(`Cannot judge by ${where}: its condition is not known here`)
      return (context: RequestContext) => test(context, String(value))
    }),
  )
  return (context) => tests.every((test) => test(context))
}

/** The conditions that policies and roles use. A key that a request does not have makes none of them hold. */
const CONDITIONS: Readonly<Record<string, (context: RequestContext, value: string) => boolean>> = {
  'StringLike s3:prefix': ({ prefix }, value) => prefix !== undefined && covers(value, prefix),
  'Null s3:if-none-match': ({ ifNoneMatch }, value) => String(ifNoneMatch === undefined) === value,
  'Null s3:if-match': ({ ifMatch }, value) => String(ifMatch === undefined) === value,
  'Bool s3:ObjectCreationOperation': ({ isCreation }, value) => String(isCreation) === value,
  'StringEqualsIgnoreCase ses:FromAddress': ({ fromAddress }, value) =>
    fromAddress?.toLowerCase() === value.toLowerCase(),
  'StringEquals s3:object-lock-mode': ({ lockMode }, value) => lockMode === value,
  'NumericGreaterThanEquals s3:object-lock-remaining-retention-days': ({ lockedDays }, value) =>
    lockedDays !== undefined && lockedDays >= Number(value),
  'NumericLessThanEquals s3:object-lock-remaining-retention-days': ({ lockedDays }, value) =>
    lockedDays !== undefined && lockedDays <= Number(value),
}

/** Whether a pattern of a policy, in which `*` stands for anything and `?` for any one character, covers a text. */
export function covers(pattern: string, text: string): boolean {
  const parts = pattern
    .replaceAll(/[^\w*?]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${parts}$`, 's').test(text)
}
