/** A deliver that somebody will kill: runs the handler in a folder on a batch, at a time. */
import { mock } from 'node:test'
import { pathToFileURL } from 'node:url'
import { contextOf } from '../support/aws/lambda.ts'

const [path = '', event = '', time = ''] = process.argv.slice(2)
mock.timers.enable({ apis: ['Date'], now: Number(time) })
const { handler } = (await import(pathToFileURL(path).href)) as {
  handler: (event: unknown, context: unknown) => unknown
}
await handler(JSON.parse(event), contextOf())
