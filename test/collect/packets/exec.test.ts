import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import type { WebSocket } from 'ws'
import { status } from '../../../demo/replay-kubernetes.ts'
import { openCluster } from '../../../lib/collect/cluster/open-cluster.ts'
import type { Cluster } from '../../../lib/model/registry.ts'
import {
  type ExecDecision,
  type WantedCommand,
  execMessage,
  execStatus,
  runHere,
} from '../../support/servers/exec-server.ts'
import { TOKEN, startKubernetesServer } from '../../support/servers/kubernetes-server.ts'
import { freshFolder } from '../../support/recorder.ts'
import { UnreachableError } from '../../../lib/net/errors.ts'
import { matchesText } from '../../support/texts/matches-text.ts'

const cluster: Cluster = {
  id: 'prod',
  registeredAt: '2026-11-24T00:00:00Z',
  linkerdNamespace: 'linkerd',
  vizNamespace: 'linkerd-viz',
  windows: [{ since: '2026-11-24T00:00:00Z', minutes: 60 }],
}
const container = { namespace: 'shop', pod: 'web-0', container: 'linkerd-debug' }

/** A cluster in which commands run as told. */
async function startContainer(context: TestContext, run: (wanted: WantedCommand) => ExecDecision) {
  const kubernetes = await startKubernetesServer(() => status(404, 'NotFound', 'none'), '2026-11-24T12:00:00Z')
  context.after(() => kubernetes.close())
  kubernetes.run(run)
  const kubeconfig = join(freshFolder(context), 'config')
  kubernetes.writeKubeconfig(kubeconfig)
  const environment = { kubeconfig: undefined, home: undefined, serviceHost: undefined, servicePort: undefined }
  const access = openCluster({ ...cluster, kubeconfig }, { environment, kubernetesDeadlineMs: 20_000 })
  context.after(() => access.close())
  const exec = async (...command: string[]) => {
    const running = await access.exec(container, command)
    const chunks: Uint8Array[] = []
    try {
      for await (const chunk of running.output) chunks.push(chunk)
      return { out: Buffer.concat(chunks).toString(), ending: running.ending() }
    } catch (error) {
      assert.ok(error instanceof UnreachableError, String(error))
      return { out: Buffer.concat(chunks).toString(), line: error.message }
    }
  }
  return { exec, access }
}

/** Sends messages one by one, and closes. */
const says =
  (messages: readonly (Buffer | string)[], isClosed = true) =>
  (socket: WebSocket): void => {
    for (const message of messages) socket.send(message)
    if (isClosed) socket.close()
  }

describe('A command in a container', () => {
  test('says what it says here, with its end', async (context) => {
    const wanted: WantedCommand[] = []
    const { exec } = await startContainer(context, (asked) => {
      wanted.push(asked)
      return runHere(asked.command)
    })
    assert.deepEqual(await exec('sh', '-c', 'echo a b; echo "$1" >&2; exit 3', 'x', 'q & ä'), {
      out: 'a b\n',
      ending: { code: 3, said: 'q & ä\n' },
    })
    assert.deepEqual(wanted[0]?.command.slice(3), ['x', 'q & ä'])
    assert.equal(wanted[0]?.container, 'linkerd-debug')
    assert.deepEqual(await exec('true'), { out: '', ending: { code: 0, said: '' } })
    const { out } = await exec('sh', '-c', 'yes | head -c 3000000')
    assert.equal(out.length, 3_000_000)
  })

  test('makes the command wait where nobody reads, and is let go of', async (context) => {
    const { access } = await startContainer(context, ({ command }) => runHere(command))
    const running = await access.exec(container, ['yes'])
    let size = 0
    for await (const chunk of running.output) {
      size += chunk.length
      if (size > 1_000_000) break
    }
    assert.equal(running.ending(), undefined)
    running.close()
  })

  test('is one clear line where it is refused, and names the right that lacks', async (context) => {
    const refuse = (code: number, text: string) => status(code, code === 403 ? 'Forbidden' : 'BadRequest', text)
    const cases: [decision: ExecDecision, line: RegExp][] = [
      [refuse(403, 'User "x" cannot get resource "pods/exec" in API group ""'), /may not|forbidden|refused/i],
      [refuse(403, 'User "x" cannot create resource "pods/exec" in API group ""'), /cannot create/],
      [refuse(400, 'container linkerd-debug is not valid for pod web-0'), /container linkerd-debug is not valid/],
    ]
    for (const [decision, line] of cases) {
      const { access } = await startContainer(context, () => decision)
      const error: unknown = await access.exec(container, ['true']).catch((reason: unknown) => reason)
      assert.ok(error instanceof UnreachableError)
      assert.match(error.message, line)
      matchesText(error.hint ?? '')
      assert.ok(!error.message.includes(TOKEN))
    }
  })

  test('breaks, after what came before, where the connection ends before the command, or brings nonsense', async (context) => {
    const out = execMessage(1, 'before')
    const cases: (Buffer | string)[][] = [
      [out],
      [out, execMessage(3, '{"status":')],
      [out, 'text'],
      [out, execMessage(9, 'x')],
      [out, execMessage(3, 'x'.repeat(20_000))],
    ]
    for (const messages of cases) {
      const { exec } = await startContainer(context, () => says(messages))
      const said = await exec('x')
      matchesText(said.line)
      assert.ok(['before', ''].includes(said.out))
    }
  })

  test('is the same however its messages are cut, with an end that the runtime says in words', async (context) => {
    let messages: Buffer[] = []
    const { exec } = await startContainer(context, (): ExecDecision => says(messages))
    const cuts = (channel: number, bytes: Buffer, size: number): Buffer[] =>
      Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        execMessage(channel, bytes.subarray(index * size, (index + 1) * size)),
      )
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom(0, 1, 127),
        async (bytes, size, code) => {
          messages = [
            execMessage(1, ''),
            Buffer.of(),
            ...cuts(1, Buffer.from(bytes), size),
            ...cuts(2, Buffer.from('oh'), size),
            execMessage(255, Buffer.of(1)),
            ...cuts(3, Buffer.from(execStatus(code)), size),
          ]
          const { out, ending } = await exec('x')
          assert.deepEqual([out, ending], [Buffer.from(bytes).toString(), { code, said: 'oh' }])
        },
      ),
      { numRuns: 30 },
    )
    messages = [execMessage(3, '{"status":"Failure","message":"container not running"}')]
    assert.deepEqual(await exec('x'), { out: '', ending: { code: null, said: 'container not running' } })
  })
})
