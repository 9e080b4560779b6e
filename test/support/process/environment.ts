import type { TestContext } from 'node:test'

/** Sets variables of the environment, where the SDK of AWS looks for keys, for one test. */
export function setEnvironment(context: TestContext, values: Readonly<Record<string, string>>): void {
  const before = { ...process.env }
  context.after(() => {
    process.env = before
  })
  process.env = { ...before, ...values }
}
