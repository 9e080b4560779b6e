import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What conditions may look at. */
export type RequestContext = {
  /** Of a list. */
  readonly prefix?: string | undefined
  /** Of a put. */
  readonly ifNoneMatch?: string | undefined
  readonly ifMatch?: string | undefined
  /** Of a mail. */
  readonly fromAddress?: string | undefined
}

/** A policy, and which of what it allows was ever needed. */
export type Policy = {
  readonly allows: (action: string, resource: string, context?: RequestContext) => boolean
  /** Actions of statements for which nobody asked yet. */
  readonly unused: () => string[]
}

/** The conditions that policies and roles use. */
export type Condition = {
  readonly StringLike?: { readonly 's3:prefix': string }
  readonly Null?: { readonly 's3:if-none-match': 'false' } | { readonly 's3:if-match': 'false' }
  readonly StringEqualsIgnoreCase?: { readonly 'ses:FromAddress': string }
}

type Statement = {
  readonly Effect: string
  readonly Action: string | readonly string[]
  readonly Resource: string | readonly string[]
  readonly Condition?: Condition
}

/** The policy that docs/operations.md gives under a name. Throws for what it does not understand, since that would be passed over else. */
export function policyOfDocs(name: string): Policy {
  const docs = readFileSync(join(import.meta.dirname, '../../../docs/operations.md'), 'utf8')
  const [, json = ''] = new RegExp(`\`\`\`json ${name}\n(.*?)\`\`\``, 's').exec(docs) ?? []
  const { Statement: statements } = JSON.parse(json) as { Statement: readonly Statement[] }
  const grants = statements.flatMap((statement, index) => {
    const { Condition: condition, ...rest } = statement
    if (rest.Effect !== 'Allow' || Object.keys(rest).length !== 3)
      throw new Error(`Cannot judge by policy "${name}": statement ${index} is more than an action and a resource`)
    const holds = conditionOf(condition, `statement ${index} of policy "${name}"`)
    const resources = [statement.Resource].flat().map(patternOf)
    return [statement.Action]
      .flat()
      .map((action) => ({ name: `${action} of statement ${index}`, action, resources, holds }))
  })
  const unused = new Set(grants.map((grant) => grant.name))
  return {
    allows: (action, resource, context = {}) => {
      const granting = grants.filter(
        (grant) =>
          grant.action === action && grant.resources.some((pattern) => pattern.test(resource)) && grant.holds(context),
      )
      for (const grant of granting) unused.delete(grant.name)
      return granting.length > 0
    },
    unused: () => [...unused],
  }
}

/** When a condition holds. Throws for one that it does not know. */
export function conditionOf(condition: Condition | undefined, where: string): (context: RequestContext) => boolean {
  if (condition === undefined) return () => true
  const [operator, ...more] = Object.entries(condition)
  const [keys] = operator === undefined ? [] : [JSON.stringify(operator)]
  const prefix = condition.StringLike?.['s3:prefix']
  if (more.length === 0 && prefix !== undefined && Object.keys(condition.StringLike ?? {}).length === 1)
    return (context) => context.prefix !== undefined && patternOf(prefix).test(context.prefix)
  if (more.length === 0 && keys === '["Null",{"s3:if-none-match":"false"}]')
    return (context) => context.ifNoneMatch !== undefined
  if (more.length === 0 && keys === '["Null",{"s3:if-match":"false"}]')
    return (context) => context.ifMatch !== undefined
  const from = condition.StringEqualsIgnoreCase?.['ses:FromAddress']
  if (more.length === 0 && from !== undefined && Object.keys(condition.StringEqualsIgnoreCase ?? {}).length === 1)
    return ({ fromAddress }) => fromAddress?.toLowerCase() === from.toLowerCase()
  throw new Error(`Cannot judge by ${where}: its condition is not known here`)
}

function patternOf(resource: string): RegExp {
  const parts = resource.split('*').map((part) => part.replaceAll(/[^\w]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}
