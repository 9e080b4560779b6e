/**
 * `npm run package`: one zip for each function in dist/, with its code as one bundle. Everything comes from this folder and from npm as the lockfile
 * names it; equal sources give equal bytes. What only one function needs lies only in its zip.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type Metafile, type Plugin, build } from 'esbuild'
import { ZipFile } from 'yazl'

const ROOT = join(import.meta.dirname, '..')
const OUT = join(ROOT, 'dist')
const MODULES = join(ROOT, 'node_modules')

/** Lambda's processors, whatever this machine has. */
const NATIVE = '@myriaddreamin/typst-ts-node-compiler-linux-arm64-gnu'
const TYPST = '@myriaddreamin/typst-ts-node-compiler'
const VIZ = '@viz-js/viz'
const FONTS = '@expo-google-fonts/source-sans-3'

/** The largest zip, in bytes, before a function takes noticeably longer to start. */
const LIMIT = 1_000_000
const LIMITS: Readonly<Record<string, number>> = { report: 60_000_000, query: 1_100_000 }

/** The most code, in bytes, that a function reads before its first event asks for more: compiling it is half of a cold start. */
const START_LIMITS: Readonly<Record<string, number>> = { plan: 300_000, collect: 300_000, query: 350_000 }

/** What is in a zip: names, and the files they come from or their bytes. */
type Entries = Map<string, string | Buffer>

/** Functions that start a process of their own, which lies beside them. */
const WITH_WORKERS = ['collect', 'compact']

/** The names of the functions: every file of functions/ but what they share. */
export function functionNames(): string[] {
  return readdirSync(join(ROOT, 'functions'))
    .filter((file) => file.endsWith('.ts') && !file.startsWith('lambda'))
    .map((file) => file.replace(/\.ts$/, ''))
    .toSorted()
}

/**
 * Leaves out what no function can use: zod's messages in forty languages, a seventh of a bundle, and every generated API of Kubernetes' client, three
 * fifths of `collect`, which only the `auth-provider` of a kubeconfig wants, and there is no kubeconfig in a function; and all ways of the SDK to credentials
 * but the environment, where Lambda puts those of the role; what tells browsers apart in the SDK; and source maps of Handlebars, which does without.
 */
const leftOut: Plugin = {
  name: 'left-out',
  setup(bundler) {
    bundler.onResolve({ filter: /\/locales\/index\.js$/ }, ({ resolveDir, importer }) =>
      importer.includes('node_modules/zod/') ? { path: join(resolveDir, '../locales/en.js') } : undefined,
    )
    bundler.onResolve({ filter: /^(bowser|source-map)$/ }, () => ({ path: 'nothing', namespace: 'nothing' }))
    bundler.onLoad({ filter: /./, namespace: 'nothing' }, () => ({ contents: 'module.exports = {}' }))
    bundler.onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path: 'client', namespace: 'left-out' }))
    // A CommonJS library that is a file of its own exports its names only if they are said.
    bundler.onResolve({ filter: /^undici$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: 'undici', namespace: 'named' } : undefined,
    )
    bundler.onLoad({ filter: /./, namespace: 'named' }, () => ({
      resolveDir: ROOT,
      contents: "export { Pool, buildConnector } from 'undici'",
    }))
    bundler.onResolve({ filter: /^@aws-sdk\/credential-provider-node$/ }, () => ({ path: 'keys', namespace: 'lambda' }))
    bundler.onLoad({ filter: /./, namespace: 'lambda' }, () => ({
      resolveDir: ROOT,
      contents: `import { fromEnv } from '@aws-sdk/credential-provider-env'
      export const defaultProvider = () => fromEnv()`,
    }))
    bundler.onLoad({ filter: /./, namespace: 'left-out' }, () => ({
      contents: `export class KubeConfig {
        loadFromClusterAndUser() {}
        applyToHTTPSOptions() { throw new Error('a function has none, register the cluster with --api-server or --eks') }
      }`,
    }))
  },
}

/** What is imported from `node:http` by name; esbuild names another one where it is missing here. */
const HTTP_NAMES = ['Agent', 'request', 'STATUS_CODES']

/**
 * Makes the start cheap. For a module that imports `node:http` Node reads all its names, and loads its own `fetch` for one that nobody uses, `WebSocket`;
 * `require` does not.
 */
const cheapStart: Plugin = {
  name: 'cheap-start',
  setup(bundler) {
    bundler.onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
      kind === 'require-call' ? undefined : { path: 'http', namespace: 'required' },
    )
    bundler.onLoad({ filter: /./, namespace: 'required' }, () => ({
      contents: `const http = require('node:http')
      export default http
      export const { ${HTTP_NAMES.join(', ')} } = http`,
    }))
  },
}

async function bundle(name: string): Promise<Entries> {
  const { outputFiles, metafile } = await build({
    entryPoints: {
      index: join(ROOT, 'functions', `${name}.ts`),
      ...(WITH_WORKERS.includes(name) ? { worker: join(ROOT, 'functions/lambda-worker.ts') } : {}),
    },
    outdir: join(OUT, name),
    outExtension: { '.js': '.mjs' },
    // What is imported only when it is needed is a file of its own beside it, since reading costs as much as running.
    splitting: true,
    absWorkingDir: ROOT,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // Of what comes as a module and as CommonJS the module, of which esbuild can leave out parts.
    mainFields: ['module', 'main'],
    conditions: ['module'],
    // Names stay: stacks in the log are read by people.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    // The map stays here, since it would be two fifths of a zip: equal sources give the same one again.
    sourcemap: 'external',
    sourcesContent: false,
    // Graphviz is half of a zip, and five per cent larger once a bundler wrote its text anew.
    external: [TYPST, VIZ],
    plugins: [leftOut, cheapStart],
    // Some libraries are CommonJS and ask for Node's own modules.
    banner: {
      js: "import{createRequire as createRequireOfBundle}from'node:module';const require=createRequireOfBundle(import.meta.url);",
    },
    write: false,
    metafile: true,
    logLevel: 'error',
  })
  const start = startBytes(join(relative(ROOT, OUT), name, 'index.mjs'), metafile)
  const limit = START_LIMITS[name] ?? Infinity
  if (start >= limit)
    throw new Error(
      `Cannot package ${name}: its start reads ${start} bytes of code, wanted less than ${limit}; import what the first event does not need where it is needed`,
    )
  const files: Entries = new Map()
  for (const { path, contents } of outputFiles) {
    if (path.endsWith('.map')) writeFileSync(join(OUT, 'maps', `${name}-${basename(path)}`), contents)
    else files.set(relative(join(OUT, name), path), Buffer.from(contents))
  }
  return files
}

/** How many bytes of code a file and all that it imports have, but for what is imported when it is needed. */
function startBytes(first: string, { outputs }: Metafile): number {
  const read = new Set([first])
  let sum = 0
  // Grows while it is walked.
  for (const path of read) {
    const output = outputs[path]
    if (output === undefined) throw new Error(`Cannot measure a start: the bundler did not write ${path}`)
    sum += output.bytes
    for (const { path: next, kind, external } of output.imports)
      if (kind !== 'dynamic-import' && external !== true) read.add(next)
  }
  return sum
}

/** Graphviz, as npm has it. */
function graphvizFiles(): Entries {
  const files: Entries = new Map()
  for (const file of ['package.json', 'dist/viz.js']) files.set(`node_modules/${VIZ}/${file}`, join(MODULES, VIZ, file))
  return files
}

/** The page's and the PDF's templates, fonts and Typst, where the code looks for them. */
function reportFiles(): Entries {
  const files = graphvizFiles()
  addFolder(files, join(ROOT, 'lib/report/templates'), 'templates')
  files.set(`node_modules/${FONTS}/package.json`, join(MODULES, FONTS, 'package.json'))
  for (const weight of ['400Regular', '600SemiBold'])
    addFolder(files, join(MODULES, FONTS, weight), `node_modules/${FONTS}/${weight}`, /\.ttf$/)
  addFolder(files, join(MODULES, TYPST), `node_modules/${TYPST}`, /\.(js|json)$/)
  addFolder(files, nativeModule(), `node_modules/${NATIVE}`, /\.(node|json)$/)
  return files
}

/** What is in a zip beside its bundle. */
function filesOf(name: string): Entries {
  if (name === 'report') return reportFiles()
  const files: Entries = name === 'query' ? graphvizFiles() : new Map()
  if (name === 'query') {
    for (const folder of ['routes', 'pages']) addFolder(files, join(ROOT, `lib/query/${folder}/templates`), 'templates')
    addFolder(files, join(ROOT, 'lib/report/templates'), 'templates', /\.hbs$/)
  }
  // The verifier that is put into every pack.
  if (name === 'pack')
    for (const folder of ['bundled', 'bundled/verifier']) addFolder(files, join(ROOT, 'lib/pack', folder), folder)
  if (name === 'deliver' || name === 'alert')
    for (const kind of ['mail', 'alert']) addFolder(files, join(ROOT, `lib/deliver/${kind}/templates`), 'templates')
  return files
}

function addFolder(files: Entries, folder: string, as: string, isWanted = /./): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isFile() && isWanted.test(entry.name)) files.set(`${as}/${entry.name}`, join(folder, entry.name))
}

/** Typst for Lambda's processors: this machine's own, or as npm has it, with the checksum of the lockfile. Kept for the next time. */
function nativeModule(): string {
  if (existsSync(join(MODULES, NATIVE))) return join(MODULES, NATIVE)
  const lockfile = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>
  }
  const locked = lockfile.packages[`node_modules/${NATIVE}`]
  if (locked === undefined) throw new Error(`Cannot package report: the lockfile does not name ${NATIVE}`)
  const kept = join(MODULES, '.cache/ciphertrail', `${NATIVE.replace('/', '-')}-${locked.version}`)
  if (existsSync(kept)) return join(kept, 'package')
  const work = mkdtempSync(join(tmpdir(), 'ciphertrail-package-'))
  try {
    const packed = execFileSync(
      'npm',
      ['pack', '--silent', `${NATIVE}@${locked.version}`, '--pack-destination', work],
      {
        cwd: ROOT,
        encoding: 'utf8',
      },
    ).trim()
    const archive = join(work, packed)
    const integrity = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
    if (integrity !== locked.integrity)
      throw new Error(`Cannot package report: ${NATIVE} is not what the lockfile says, it is ${integrity}`)
    mkdirSync(kept, { recursive: true })
    execFileSync('tar', ['-xzf', archive, '-C', kept])
  } catch (error) {
    rmSync(kept, { recursive: true, force: true })
    throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return join(kept, 'package')
}

async function zip(files: Entries): Promise<Buffer> {
  const archive = new ZipFile()
  // The first moment that a zip can name, by the clock of wherever this runs.
  const options = { mtime: new Date(1980, 0, 1), mode: 0o100644, forceDosTimestamp: true, compressionLevel: 9 }
  for (const [name, from] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    archive.addBuffer(typeof from === 'string' ? readFileSync(from) : from, name, options)
  archive.end()
  return buffer(archive.outputStream)
}

/** Makes the zip of a function and gives its path. Throws where it has grown too large. */
async function packageFunction(name: string): Promise<string> {
  const files = await bundle(name)
  for (const [file, from] of filesOf(name)) files.set(file, from)
  const path = join(OUT, `${name}.zip`)
  writeFileSync(path, await zip(files))
  const limit = LIMITS[name] ?? LIMIT
  const { size } = statSync(path)
  if (size >= limit) throw new Error(`Cannot package ${name}: its zip has ${size} bytes, wanted less than ${limit}`)
  return path
}

if (import.meta.main) {
  rmSync(OUT, { recursive: true, force: true })
  mkdirSync(join(OUT, 'maps'), { recursive: true })
  for (const name of functionNames()) {
    const path = await packageFunction(name)
    process.stdout.write(`${relative(ROOT, path)} ${statSync(path).size}\n`)
  }
}
