import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { printable } from '../../../lib/text/printable.ts'
import { renderAgainBy } from '../../../lib/jobs/render-again.ts'
import { MANIFEST } from '../../../lib/pack/members.ts'
import { type GivenTimestamp, type PackVerification, verifyPack } from '../../../lib/pack/verify/verify-pack.ts'
import { MAX_TIMESTAMP_BYTES } from '../../../lib/seal/timestamp/ask-authority.ts'
import { LeafError } from '../../../lib/seal/leaf.ts'
import { NoteError, verifierOf } from '../../../lib/seal/tlog/note.ts'
import { checkProof, type Proved } from '../../../lib/seal/verify/prove.ts'
import { type Verification, verifyStore } from '../../../lib/seal/verify/verify-period.ts'
import type { ObjectDigest } from '../../../lib/store/objects/objects.ts'
import { type Console, FailedError, UsageError } from '../../console.ts'
import { toJson } from '../../../lib/text/format-json.ts'
import { findingLine, KEY_HELP, readVkey } from '../log.ts'
import { openStore } from '../../open-store.ts'
import { readCertificates } from '../../timestamping.ts'
import { timestampFile } from '../pack/pack.ts'
import { checkedJson } from './checked-json.ts'
import { packJson, packLines } from './pack-page.ts'
import { verificationLines } from './verification-page.ts'
import { plural } from '../../../lib/report/words/vocabulary.ts'

type VerifyOptions = {
  readonly key?: string
  readonly since?: string
  readonly checkpoint?: string
  readonly render: boolean
  readonly timestamp?: string
  readonly tsaCa?: string
  readonly partial?: boolean
  readonly proof?: string
  readonly object?: string
  readonly json?: boolean
}

type FileDigest = Pick<ObjectDigest, 'sha256' | 'size'>

/** Adds `ciphertrail verify`. */
export function addVerify(program: Command, console: Console): void {
  program
    .command('verify')
    .summary('verify a pack or a copy of a store: that nothing was changed, removed or added since it was sealed')
    .description(
      'Verifies the pack of a report, or a copy of a store, by nothing but itself, the public key of its log and an earlier checkpoint: the signature, that the log begins with what was signed before, and that every object it names is there with the bytes that were sealed; of a pack also every byte of the file, that each expected window is evidence or a recorded gap, and that the evidence gives the same report again. Needs no network, no cluster and no account. What is derived from the evidence is looked at by "ciphertrail log check".',
    )
    .argument('[pack-or-store]', 'the file of a pack, the directory of a copy, or a store on S3 as --store takes it')
    .option('--key <vkey>', KEY_HELP)
    .option(
      '--since <file>',
      'a checkpoint that was kept earlier: shows that the store was not rolled back or rewritten',
    )
    .option('--checkpoint <file>', 'the same as --since')
    .option(
      '--timestamp <file>',
      'of a pack: the time stamp of its checkpoint (default: the file beside it, <pack>.tsr)',
    )
    .option('--tsa-ca <file>', '... which must lead to one of the certificates in this file of PEM')
    .option('--no-render', 'of a pack: do not make the report again, which takes longest')
    .option(
      '--partial',
      'the copy holds only some of the objects: those that are absent are counted, and are no failure',
    )
    .option('--proof <file>', 'check a proof of "ciphertrail log show --proof" instead of a store; needs --key')
    .option('--object <file>', 'the object that the proof is about; a gap has none')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nExit codes: 0 verified, 1 something failed or is missing, 2 the command\nline was not understood.\n\nExamples:\n  ciphertrail verify w47.zip --key example.com/log+0123abcd+AQ...\n  ciphertrail verify ./copy --key example.com/log+0123abcd+AQ... \\\n      --since checkpoint-of-october\n  ciphertrail verify --proof 0001.tlog-proof --object 0001.json.gz \\\n      --key example.com/log+0123abcd+AQ...',
    )
    .action(async (store: string | undefined, _: unknown, command: Command) => {
      const options = withSince(command.optsWithGlobals<VerifyOptions>())
      if (options.proof !== undefined) {
        if (store !== undefined || options.since !== undefined || options.partial === true || hasTimestamp(options))
          throw new UsageError('Cannot check a proof and a store at once: give --proof and --object, or a store')
        return verifyOneObject(options, console)
      }
      if (options.object !== undefined) throw new UsageError('Cannot use --object without --proof')
      if (store === undefined)
        throw new UsageError(
          'Cannot verify nothing: give the file of a pack, or the directory of a copy, such as "ciphertrail verify ./copy"',
        )
      if (isFile(store)) return verifyPackFile(store, options, console)
      if (hasTimestamp(options))
        throw new UsageError('Cannot use --timestamp or --tsa-ca with a store: a time stamp lies beside a pack')
      if (existsSync(join(store, MANIFEST)))
        throw new UsageError(
          `Cannot verify "${printable(store)}": it is a pack that was unpacked, give its zip file, or run "node verify.mjs" in it`,
        )
      if (!store.startsWith('s3://') && !isDirectory(store))
        throw new UsageError(
          `Cannot verify "${printable(store)}": it is no file or directory that can be read, and no address of S3`,
        )
      const since = options.since === undefined ? undefined : asWritten(await readGiven('--since', options.since))
      const verification = await verifyStore(
        {
          ...(options.key === undefined ? {} : { vkey: readVkey(options.key) }),
          ...(since === undefined ? {} : { since }),
          isPartial: options.partial === true,
        },
        {
          objects: openStore({ store }, console),
          onProgress: (done, of) => console.progress(`Verified ${done} of ${of} leaves`),
        },
      )
      console.progressEnd()
      if (options.json === true) console.out(toJson(jsonOf(verification)))
      else for (const line of verificationLines(verification)) console.out(line)
      if (verification.findings.total > 0) throw new FailedError()
    })
}

/** Both options name the same. */
function withSince({ checkpoint, ...options }: VerifyOptions): VerifyOptions {
  if (checkpoint !== undefined && options.since !== undefined)
    throw new UsageError('Cannot use --checkpoint together with --since: both name the earlier checkpoint')
  return checkpoint === undefined ? options : { ...options, since: checkpoint }
}

async function verifyPackFile(path: string, options: VerifyOptions, console: Console): Promise<void> {
  const { key, since, partial, json = false } = options
  if (partial === true) throw new UsageError('Cannot use --partial with a pack: a pack is whole')
  const timestamp = await timestampBeside(path, options, console)
  const verification = await verifyPack(
    {
      path,
      version: console.version,
      ...(timestamp === undefined ? {} : { timestamp }),
      ...(key === undefined ? {} : { vkey: readVkey(key) }),
      ...(since === undefined ? {} : { since: asWritten(await readGiven('--checkpoint', since)) }),
    },
    {
      render: options.render ? renderAgainBy(console.version) : undefined,
      onProgress: (what) => console.progress(`Verifying: ${what}`),
    },
  )
  console.progressEnd()
  if (json) console.out(toJson(packJson(verification)))
  else for (const line of [...packLines(verification), ...leftLines(verification)]) console.out(line)
  if (verification.findings.total > 0) throw new FailedError()
}

/** The time stamp that is named, or lies beside the pack. Whoever says whose are believed wants one: throws UsageError if there is none. */
async function timestampBeside(
  pack: string,
  { timestamp, tsaCa }: VerifyOptions,
  { now }: Console,
): Promise<GivenTimestamp | undefined> {
  const beside = timestampFile(pack)
  const file = timestamp ?? (existsSync(beside) ? beside : undefined)
  if (file === undefined) {
    if (tsaCa === undefined) return undefined
    throw new UsageError(
      `Cannot check a time stamp: there is no file "${printable(beside)}", name it with --timestamp, or leave out --tsa-ca`,
    )
  }
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > MAX_TIMESTAMP_BYTES)
    throw new UsageError(`Cannot read --timestamp "${printable(file)}": it has ${size} bytes, and is none`)
  return {
    answer: await readGiven('--timestamp', file),
    ...(tsaCa === undefined ? {} : { authorities: await readCertificates(tsaCa) }),
    now: now(),
  }
}

const hasTimestamp = ({ timestamp, tsaCa }: VerifyOptions): boolean => timestamp !== undefined || tsaCa !== undefined

/** What the report does not claim to have judged, so that nobody takes silence for a pass. */
function leftLines({ windows }: PackVerification): string[] {
  return windows.left.map(
    ({ cluster, windows: own }) =>
      `Not in this report: ${plural(own, 'window')} that ${own === 1 ? 'was' : 'were'} expected of cluster ${printable(cluster)} in its period`,
  )
}

/** What `verify --json` prints. Hashes are base64, as checkpoints have them. */
function jsonOf({ checkpoint, since, findings, ...rest }: Verification): unknown {
  return { verified: findings.total === 0, ...rest, ...checkedJson({ checkpoint, since, findings }) }
}

/** Checks that a proof is about an object, or what it says of a gap, which has none. */
async function verifyOneObject({ proof = '', object, key, json }: VerifyOptions, console: Console): Promise<void> {
  if (key === undefined)
    throw new UsageError('Cannot check a proof without --key: give the public key of the log ("ciphertrail key show")')
  const verifier = verifierOf(readVkey(key))
  const bytes = await readGiven('--proof', proof)
  const digest = object === undefined ? null : await digestOf(object)
  const proved = provedBy(bytes, verifier)
  if (digest === null && typeof proved !== 'string' && 'key' in proved.leaf)
    throw new UsageError(
      `Cannot check a proof without the object that it is about: give --object, a file with the bytes of "${printable(proved.leaf.key)}"`,
    )
  const problem = typeof proved === 'string' ? proved : differenceOf(proved, digest)
  const isProved = problem === undefined && typeof proved !== 'string'
  if (json === true) {
    console.out(
      toJson({
        verified: isProved,
        problem: problem ?? null,
        object: digest,
        ...(typeof proved === 'string'
          ? {}
          : {
              leaf: proved.leaf,
              number: proved.index,
              origin: proved.checkpoint.origin,
              size: proved.checkpoint.size,
            }),
      }),
    )
  } else if (isProved) for (const line of provedLines(proved, digest)) console.out(line)
  else console.out(`Not verified: ${printable(problem ?? '')}`)
  if (!isProved) throw new FailedError()
}

function provedLines({ leaf, index, checkpoint }: Proved, digest: FileDigest | null): string[] {
  const place = `Verified: leaf ${index} of the ${checkpoint.size} leaves of log ${printable(checkpoint.origin)}`
  if (leaf.kind === 'gap')
    return [
      `${place} records a gap, of which there is no object:`,
      findingLine(null, `cluster ${leaf.cluster}, window ${leaf.window.start} to ${leaf.window.end}: ${leaf.reason}`),
    ]
  return [
    `${place} names this object (${leaf.kind}):`,
    findingLine('key' in leaf ? leaf.key : null, `sha256 ${digest?.sha256}, ${digest?.size} bytes`),
  ]
}

/** What a proof shows, or why it shows nothing. */
function provedBy(bytes: Uint8Array, verifier: ReturnType<typeof verifierOf>): Proved | string {
  try {
    return checkProof(bytes, verifier)
  } catch (error) {
    if (error instanceof NoteError || error instanceof LeafError) return error.message
    throw error
  }
}

function differenceOf({ leaf }: Proved, digest: FileDigest | null): string | undefined {
  if (leaf.kind === 'gap')
    return digest === null ? undefined : 'the proof is about a gap, of which there is no object: leave out --object'
  if (!('key' in leaf) || digest === null) return `the proof is about a ${leaf.kind}, and not about an object`
  const { sha256, size } = digest
  if (leaf.sha256 === sha256 && leaf.size === size) return undefined
  return `the object is not the one that was sealed as "${leaf.key}": it has SHA-256 ${sha256} and ${size} bytes, sealed were ${leaf.sha256} and ${leaf.size}`
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** A checkpoint may be copied by hand from a report: what stands around it, and how its lines end, is not part of it. */
function asWritten(checkpoint: Uint8Array): Uint8Array {
  if (!isUtf8(checkpoint)) return checkpoint
  const text = Buffer.from(checkpoint).toString().replaceAll('\r\n', '\n').trim()
  return Buffer.from(`${text}\n`)
}

async function readGiven(option: string, file: string): Promise<Uint8Array> {
  try {
    return await readFile(file)
  } catch (error) {
    throw unreadable(option, file, error)
  }
}

async function digestOf(file: string): Promise<FileDigest> {
  const hash = createHash('sha256')
  let size = 0
  try {
    await pipeline(createReadStream(file), async (pieces: AsyncIterable<Uint8Array>) => {
      for await (const piece of pieces) {
        hash.update(piece)
        size += piece.length
      }
    })
  } catch (error) {
    throw unreadable('--object', file, error)
  }
  return { sha256: hash.digest('hex'), size }
}

function unreadable(option: string, file: string, error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error)) return error
  const code = String(error.code)
  const state = { ENOENT: 'it does not exist', EACCES: 'it may not be read', EISDIR: 'it is a folder' }[code] ?? code
  return new UsageError(`Cannot read ${option} "${printable(file)}": ${state}`)
}
