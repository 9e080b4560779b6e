import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Context } from 'aws-lambda'

type Handler = (event: unknown, context: Context) => Promise<unknown>

const ROOT = join(import.meta.dirname, '../../..')
const TYPST = 'node_modules/@myriaddreamin'

/** Unpacks the zip of a function as Lambda does, into a new folder, which it gives. Throws where `npm run package` did not run. */
export function unpackFunction(name: string): string {
  const zip = join(ROOT, 'dist', `${name}.zip`)
  if (!existsSync(zip)) throw new Error(`Cannot unpack ${zip}: it is not there, run "npm run package"`)
  const folder = mkdtempSync(join(tmpdir(), `ciphertrail-${name}-`))
  execFileSync('python3', ['-m', 'zipfile', '-e', zip, folder])
  // The zip has Typst for Lambda's processors; this machine may need another one beside it.
  if (existsSync(join(folder, TYPST)))
    for (const entry of readdirSync(join(ROOT, TYPST)))
      if (!existsSync(join(folder, TYPST, entry))) symlinkSync(join(ROOT, TYPST, entry), join(folder, TYPST, entry))
  return folder
}

/** The handler of a function, from its zip. What the environment says at that time is what it goes by. */
export async function packagedHandler(name: string): Promise<Handler> {
  const { handler } = (await import(pathToFileURL(join(unpackFunction(name), 'index.mjs')).href)) as {
    handler: Handler
  }
  return handler
}
