import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The path of a file under test/golden. */
export const goldenPath = (path: string): string => fileURLToPath(new URL(`../golden/${path}`, import.meta.url))

/**
 * Compares text with the golden file at a path under test/golden. A missing golden is written, but fails where `CI` is set; beside a
 * mismatch the new text is left as `<name>-changed<extension>`, to be looked at and moved over the golden if it is right.
 */
export function matchesGolden(path: string, actual: string): void {
  const file = goldenPath(path)
  const extension = extname(file)
  const changed = `${file.slice(0, -extension.length)}-changed${extension}`
  if (!existsSync(file)) {
    assert.ok(process.env['CI'] === undefined, `Cannot compare "${path}": no golden file, one was expected`)
    writeFileSync(file, actual)
    return
  }
  const isSame = readFileSync(file, 'utf8') === actual
  if (isSame) rmSync(changed, { force: true })
  else writeFileSync(changed, actual)
  assert.ok(isSame, `Cannot match "${path}": the text differs, see ${changed}`)
}
