import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A policy without conditions, and which of what it allows was ever needed. */
export type Policy = {
  readonly allows: (action: string, resource: string) => boolean
  /** Actions of statements for which nobody asked yet. */
  readonly unused: () => string[]
}

type Statement = {
  readonly Effect: string
  readonly Action: string | readonly string[]
  readonly Resource: string | readonly string[]
}

/** The policy that docs/operations.md gives under a name. Throws for what it does not understand, since that would be passed over else. */
export function policyOfDocs(name: string): Policy {
  const docs = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8')
  const [, json = ''] = new RegExp(`\`\`\`json ${name}\n(.*?)\`\`\``, 's').exec(docs) ?? []
  const { Statement: statements } = JSON.parse(json) as { Statement: readonly Statement[] }
  const grants = statements.flatMap((statement, index) => {
    if (statement.Effect !== 'Allow' || Object.keys(statement).length !== 3)
      throw new Error(`Cannot judge by policy "${name}": statement ${index} is more than an action and a resource`)
    const resources = [statement.Resource].flat().map(patternOf)
    return [statement.Action].flat().map((action) => ({ name: `${action} of statement ${index}`, action, resources }))
  })
  const unused = new Set(grants.map((grant) => grant.name))
  return {
    allows: (action, resource) => {
      const granting = grants.filter(
        (grant) => grant.action === action && grant.resources.some((pattern) => pattern.test(resource)),
      )
      for (const grant of granting) unused.delete(grant.name)
      return granting.length > 0
    },
    unused: () => [...unused],
  }
}

function patternOf(resource: string): RegExp {
  const parts = resource.split('*').map((part) => part.replaceAll(/[^\w]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`)
}
