import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { mutated, picks } from './mutate.ts'
import { type Target, targets } from './targets.ts'

/** How many bytes are read in all; `npm run test:fuzz` reads a hundred million. */
const BYTES = Number(process.env['FUZZ_BYTES'] ?? 4_000_000)
const SEED = Number(process.env['PROPERTY_SEED'] ?? 20_261_124)
const CASES = join(import.meta.dirname, 'cases')

/** No input takes longer: one that does is a way to stop whoever reads it. */
const MAX_MS = 20_000

const slug = (name: string): string => name.replaceAll(' ', '-')

/** What is wrong with how bytes were read; null where nothing is. */
async function faultOf({ read, mayThrow }: Target, bytes: Buffer): Promise<string | null> {
  const begun = performance.now()
  try {
    await read(bytes)
  } catch (error) {
    if (!mayThrow.some((one) => error instanceof one))
      return error instanceof Error ? String(error.stack) : String(error)
    assert.ok(error instanceof Error)
    if (error.message.includes('\n') || error.message.length > 2_000) return `its error is no line: ${error.message}`
  }
  const took = performance.now() - begun
  return took > MAX_MS ? `it took ${took} ms` : null
}

const all = await targets()
const weights = all.reduce((sum, { weight = 1 }) => sum + weight, 0)

for (const target of all) {
  const { name, begin, weight = 1 } = target
  test(`${name}: mutated bytes are read or refused in one line`, async (context) => {
    const pick = picks(SEED ^ createHash('sha256').update(name).digest().readUInt32LE(0))
    assert.ok(begin.length > 0)
    for (const bytes of begin) assert.equal(await faultOf(target, Buffer.from(bytes)), null)
    let [read, inputs] = [0, 0]
    while (read < (BYTES * weight) / weights) {
      const bytes = mutated(begin[pick(begin.length)] ?? Buffer.of(), pick)
      read += Math.max(1, bytes.length)
      inputs += 1
      const fault = await faultOf(target, bytes)
      if (fault === null) continue
      const file = join(CASES, slug(name), createHash('sha256').update(bytes).digest('hex').slice(0, 16))
      mkdirSync(join(CASES, slug(name)), { recursive: true })
      writeFileSync(file, bytes)
      assert.fail(`${file}, kept as a case: ${fault}`)
    }
    context.diagnostic(`${read} bytes in ${inputs} inputs`)
  })

  const folder = join(CASES, slug(name))
  for (const file of existsSync(folder) ? readdirSync(folder).toSorted() : [])
    test(`${name}: the case ${file} is read or refused in one line`, async () => {
      assert.equal(await faultOf(target, readFileSync(join(folder, file))), null)
    })
}
