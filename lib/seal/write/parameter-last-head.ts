import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm'
import canonicalize from 'canonicalize'
import * as z from 'zod'
import { fromBase64, toBase64 } from '../../text/base64.ts'
import { parseJson } from '../../text/parse-json.ts'
import { PARAMETER_ARN_FORM, parseParameterArn } from './parameter-arn.ts'
import { contradiction, isContradicted, type KnownHead, type LastHead } from './last-head.ts'

/** The parameter with the head of the log cannot be read or written, or holds something else. One line. */
export class HeadParameterError extends Error {
  override readonly name = 'HeadParameterError'
}

const TIMEOUT_MS = 10_000

/** Its value before anything was sealed: CloudFormation requires a value. */
const NOTHING = 'none'

/** Number of concurrent writes that are tolerated; more mean that something else is wrong. */
const MAX_MISSED = 20

const headSchema = z.strictObject({
  format: z.literal('ciphertrail/head/1'),
  size: z.int().nonnegative(),
  root: z.string(),
})

type Kept = { readonly version: number; readonly head: KnownHead | undefined }

/**
 * Remembers the head in a parameter of AWS Systems Manager: of type String, with the value `none` before the first head, for one log only. Each method throws
 * {@link HeadParameterError} if the parameter is absent, not permitted, holds something else, or was reset to `none`.
 *
 * @param arn gives its region; the AWS settings give the credentials
 */
export function parameterLastHead(arn: string, given?: SSMClient): LastHead {
  const parameter = parseParameterArn(arn)
  if (parameter === undefined) throw unusable(arn, `wanted ${PARAMETER_ARN_FORM}`)
  const { name, region } = parameter
  const client = given ?? clientIn(region)

  async function asked<T>(what: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof Error && /^Parameter(Version)?NotFound$/.test(error.name))
        throw unusable(
          arn,
          `there is none; create it as String with the value "${NOTHING}" if no log was sealed with it yet, else with the value that it had`,
        )
      const state = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
      throw unusable(arn, `it cannot be ${what} (${state.replaceAll(/\s+/g, ' ').trim()})`, error)
    }
  }

  async function read(version?: number): Promise<Kept> {
    const { Parameter: kept } = await asked('read', () =>
      client.send(new GetParameterCommand({ Name: version === undefined ? name : `${name}:${version}` })),
    )
    if (kept?.Version === undefined || kept.Value === undefined) throw unusable(arn, 'the answer has no value')
    return { version: kept.Version, head: headIn(kept.Value, kept.Version) }
  }

  async function put(head: KnownHead): Promise<number> {
    const { Version: version } = await asked('written', () =>
      client.send(new PutParameterCommand({ Name: name, Value: textOf(head), Type: 'String', Overwrite: true })),
    )
    if (version === undefined) throw unusable(arn, 'the answer has no version')
    return version
  }

  /** Parses the head in a value. Accepting a reset value would let a store be reset, too. */
  function headIn(value: string, version: number): KnownHead | undefined {
    if (value === NOTHING) {
      if (version === 1) return undefined
      throw unusable(
        arn,
        `it was put back to "${NOTHING}"; find out who did, and write back its last value, which "aws ssm get-parameter-history --name ${name}" shows`,
      )
    }
    const { success, data } = headSchema.safeParse(parseJson(Buffer.from(value)))
    const root = success ? fromBase64(data.root) : undefined
    if (!success || root === undefined)
      throw unusable(
        arn,
        `it is damaged; write back its last value, which "aws ssm get-parameter-history --name ${name}" shows`,
      )
    return { size: data.size, root }
  }

  /** The largest head of those versions, the first of equal ones; undefined if there is none. */
  async function largestOf(from: number, to: number): Promise<KnownHead | undefined> {
    if (to - from >= MAX_MISSED)
      throw unusable(arn, `others wrote it ${to - from + 1} times meanwhile; find out who does, and run it again`)
    let largest: KnownHead | undefined
    for (let version = from; version <= to; version++) {
      const { head } = await read(version)
      if (head !== undefined && (largest === undefined || head.size > largest.size)) largest = head
    }
    return largest
  }

  return {
    place: arn,
    read: async () => (await read()).head,
    write: async (head) => {
      const before = await read()
      if (before.head !== undefined) {
        if (isContradicted(before.head, head)) throw contradictionOf(before.head, head)
        if (before.head.size >= head.size) return
      }
      // Parameter Store has no conditional write. Versions are counted, so concurrent writes are noticed, and the largest head is kept.
      let seen = before.version
      let best = head
      let contradicted: KnownHead | undefined
      for (;;) {
        const version = await put(best)
        const theirs = await largestOf(seen + 1, version - 1)
        if (theirs === undefined || theirs.size < best.size) break
        if (isContradicted(theirs, head)) contradicted = theirs
        if (theirs.size === best.size && !isContradicted(theirs, best)) break
        seen = version
        best = theirs
      }
      if (contradicted !== undefined) throw contradictionOf(contradicted, head)
    },
  }

  function contradictionOf(known: KnownHead, head: KnownHead): Error {
    return contradiction(known, arn, `another root of ${head.size} leaves was to be signed`)
  }
}

const textOf = ({ size, root }: KnownHead): string =>
  canonicalize({ format: 'ciphertrail/head/1', size, root: toBase64(root) }) ?? ''

function unusable(arn: string, state: string, cause?: unknown): HeadParameterError {
  return new HeadParameterError(`Cannot use parameter "${arn}", which remembers the head of the log: ${state}`, {
    cause,
  })
}

function clientIn(region: string): SSMClient {
  return new SSMClient({ region, requestHandler: { connectionTimeout: TIMEOUT_MS, requestTimeout: TIMEOUT_MS } })
}
