#!/usr/bin/env node
// Verifies an audit pack of ciphertrail. Needs Node.js 18 or later, no package and no network. README.txt says how to use it.
//
//   node verify.mjs [--key KEY|FILE] [--checkpoint FILE] [pack.zip | folder]
//
// Without a pack it verifies the folder that it lies in. Exit code 0: verified, 1: not, 2: the command line was not understood.
import { createPublicKey } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { add, Broken, broken, findings, parse, plain, same } from './verifier/common.mjs'
import { checkProof, openCheckpoint, readKey, readLog, rootOf } from './verifier/log.mjs'
import { checkMembers, readManifest, readMember } from './verifier/members.mjs'
import { checkSealed, checkWindows } from './verifier/sealed.mjs'
import { openFolder, openZip } from './verifier/zip.mjs'

// Names in a pack are its maker's: none of them may move the cursor or clear the screen.
const say = (line) => process.stdout.write(`${plain(line)}\n`)

const USAGE = 'usage: node verify.mjs [--key KEY|FILE] [--checkpoint FILE] [pack.zip | folder]\n'

function usage(problem) {
  process.stderr.write(`${problem}\n${USAGE}`)
  process.exit(2)
}

/** The text of a file that was given; `otherwise` where there is none. */
function textOf(option, file, otherwise) {
  if (otherwise !== undefined && !existsSync(file)) return otherwise
  try {
    return readFileSync(file, 'utf8').replaceAll('\r\n', '\n').trim()
  } catch (error) {
    const state = { ENOENT: 'it does not exist', EACCES: 'it may not be read', EISDIR: 'it is a folder' }
    return usage(`Cannot read ${option} "${plain(file)}": ${state[error.code] ?? plain(error.code)}`)
  }
}

function main(args) {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(USAGE)
    return 0
  }
  const given = {}
  for (let at = 0; at < args.length; at++) {
    const option = /^--(key|checkpoint)$/.exec(args[at])?.[1]
    if (option !== undefined && args[at + 1] !== undefined) given[option] = args[++at]
    else if (args[at].startsWith('-') || given.pack !== undefined) usage(`Cannot understand "${plain(args[at])}"`)
    else given.pack = args[at]
  }
  const pack = given.pack ?? dirname(fileURLToPath(import.meta.url))
  if (!existsSync(pack)) usage(`Cannot find "${plain(pack)}"`)
  const trusted = given.key === undefined ? undefined : readKey(textOf('--key', given.key, given.key))
  if (given.key !== undefined && trusted === undefined)
    usage('Cannot read --key: wanted a key such as example.com/log+0123abcd+AQ..., or a file with one')
  const earlier = given.checkpoint === undefined ? undefined : textOf('--checkpoint', given.checkpoint)
  const lines = []
  const seen = {}
  try {
    lines.push(...verifyPack(pack, trusted, earlier, seen))
  } catch (error) {
    findings.push(
      error instanceof Broken
        ? error.message
        : `${plain(pack)}: it cannot be read as a pack (${plain(error?.message)})`,
    )
  }
  const isKeyWrong = (line) => line.startsWith('KEY MISMATCH')
  const ordered = [...findings.filter(isKeyWrong), ...findings.filter((line) => !isKeyWrong(line))]
  if (ordered.length > 0 && isKeyWrong(ordered[0])) say(ordered.shift())
  // By its own key alone anybody's pack verifies: the key comes first, and the result says so.
  if (trusted === undefined && seen.own !== undefined)
    for (const line of keyLines(
      seen.own,
      'FROM THE PACK ITSELF: compare it with the key that you got elsewhere (--key)',
    ))
      say(line)
  say(
    findings.length === 0
      ? `Verified${trusted === undefined ? ' by the key in the pack itself' : ''}.`
      : `NOT VERIFIED: ${findings.length} finding${findings.length === 1 ? '' : 's'}.`,
  )
  for (const line of ordered.slice(0, 40)) say(`  ${line}`)
  if (ordered.length > 40) say(`  and ${ordered.length - 40} more`)
  for (const line of lines) say(line)
  return findings.length === 0 ? 0 : 1
}

const keyLines = (key, from) => [`Key       ${key.vkey}`, `          ${from}`]

function verifyPack(path, trusted, earlier, seen) {
  const isZip = statSync(path).isFile()
  const { members, close } = isZip ? openZip(path) : openFolder(path)
  try {
    const own = members.has('vkey.txt')
      ? readKey(readMember('vkey.txt', members.get('vkey.txt'), true).body.toString().replace(/\n$/, ''))
      : undefined
    if (own === undefined) add('vkey.txt', 'it holds no key')
    seen.own = own
    const key = trusted ?? own
    if (trusted !== undefined && own?.vkey !== trusted.vkey)
      add('KEY MISMATCH', `this pack has the key ${plain(own?.vkey ?? 'none')}, trusted is ${trusted.vkey}`)
    const manifest = readManifest(members)
    const { bodies, bytes } = checkMembers(members, manifest, isZip)
    if (key === undefined) throw broken('vkey.txt', 'without a key nothing is proved')
    const pem = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: key.key.export({ format: 'jwk' }).x },
      format: 'jwk',
    }).export({ type: 'spki', format: 'pem' })
    if (trusted === undefined && bodies.get('vkey.pem')?.toString() !== pem)
      add('vkey.pem', 'it is not the key of vkey.txt')
    if (trusted !== undefined && own?.vkey === trusted.vkey && bodies.get('vkey.pem')?.toString() !== pem)
      add('vkey.pem', 'it is not the key of vkey.txt')
    const note = bodies.get('log/checkpoint') ?? Buffer.alloc(0)
    const checkpoint = openCheckpoint(note, key)
    if (checkpoint === undefined)
      throw broken(
        'log/checkpoint',
        `it is not signed by ${key.name}+${key.keyId.toString('hex')}: nothing in this pack is proved`,
      )
    if (!checkpoint.isOurs) add('log/checkpoint', 'it has lines that no pack has')
    const { entries, leaves: hashes } = readLog(checkpoint.size, bodies)
    if (!same(rootOf(hashes), checkpoint.root))
      throw broken(
        'log/checkpoint',
        'the entries of the log do not come to the root that was signed: nothing that they say is proved',
      )
    const leaves = entries.map((entry, number) => ({ number, leaf: parse(entry) ?? {} }))
    const { report, record, attempts, objects, documents } = checkSealed(leaves, manifest, bodies)
    checkProof(bodies.get('report.tlog-proof'), { entries, leaves: hashes, number: report.number, note })
    const windows = checkWindows(leaves, report, record, bodies)
    const since = earlier === undefined ? undefined : openCheckpoint(Buffer.from(`${earlier}\n`), key)
    if (earlier !== undefined && since === undefined) add('--checkpoint', 'it is no checkpoint that this key signed')
    else if (since !== undefined && since.size > checkpoint.size)
      add('--checkpoint', `it has ${since.size} leaves and the pack's log ${checkpoint.size}: give an earlier one`)
    else if (since !== undefined && !same(rootOf(hashes.slice(0, since.size)), since.root))
      add(
        'log/checkpoint',
        `the log was rewritten: its first ${since.size} leaves are not those of the earlier checkpoint`,
      )
    return [
      '',
      ...(trusted === undefined ? [] : keyLines(trusted, 'as given')),
      `Log       ${plain(checkpoint.origin)}, ${checkpoint.size} leaves, root ${checkpoint.root.toString('base64')}`,
      ...(since === undefined ? [] : [`Since     a checkpoint of ${since.size} leaves`]),
      `Report    ${manifest.report}, ${plain(record.period.label)}, ${record.period.from} to ${record.period.to}`,
      `Members   ${members.size} (${(bytes / 1e6).toFixed(1)} MB); ${objects} sealed objects, ${attempts} of them evidence; ${documents} documents`,
      ...(manifest.evidence === 'all'
        ? []
        : ['          without the evidence from before and after the period, on which the report is based, too']),
      `Windows   ${windows.attempts} attempts and ${windows.gaps} recorded gaps in the period`,
      ...windows.left.map(
        ({ cluster, windows: count }) =>
          `Not in this report: ${count} windows that were expected of cluster ${cluster}`,
      ),
      '',
      'Not shown: that the report follows from the evidence ("ciphertrail verify" makes it again), and that README.txt,',
      '           index/, controls.json and this program are as ciphertrail writes them: no key signs these.',
      ...(since === undefined
        ? ['Not shown: that the log was not rewritten since an earlier time (--checkpoint).']
        : []),
    ]
  } finally {
    close()
  }
}

// A reader that has seen enough (`| head`) closes the pipe: the exit code tells the result all the same.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error
})
process.exitCode = main(process.argv.slice(2))
