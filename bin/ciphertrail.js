#!/usr/bin/env node
// Starts the command line on Node 24 or newer, whichever Node started this file.
//
// Why: the sources are TypeScript that Node 24 runs as it is, but `npx` and a shell start this file with the Node they
// find, often an older one. The right one comes with the npm package `node`, a dependency. So this file is plain
// JavaScript without anything newer than Node 18, and imports nothing but Node itself before it knows the version.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { constants } from 'node:os'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const oldestMajor = 24

/** The child is started under this name: so it knows that it has a parent to follow, and no variable leaks to others. */
const childName = 'ciphertrail'

// A symlink, such as the one in node_modules/.bin, must not decide where the package is looked for.
const self = realpathSync(fileURLToPath(import.meta.url))

const isChild = process.argv0 === childName && process.channel !== undefined

if (isChild) followParent()

if (majorOf(process.versions.node) >= oldestMajor) {
  await run()
} else {
  const node = isChild ? undefined : findNode()
  if (node === undefined) {
    process.stderr.write(
      `Cannot start ciphertrail on Node ${process.versions.node}: it needs Node ${oldestMajor} or newer, and the npm package "node" is not installed (run "npm ci", or "npm rebuild node" if install scripts were off)\n`,
    )
    process.exitCode = 1
  } else {
    startWith(node)
  }
}

/** Runs the command line in this process. */
async function run() {
  // Compiled code is kept between starts, which halves the time to the first word of most commands.
  nodeModule.enableCompileCache?.()
  if (self.includes(`${sep}node_modules${sep}`)) stripTypesInPackage()
  // A reader that has seen enough (`| head`) closes the pipe; that is no failure.
  process.stdout.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  const load = (file) => import(new URL(`../${file}`, pathToFileURL(self)).href)
  const { keepHeapSmall } = await load('lib/small-heap.ts')
  keepHeapSmall()
  const { main } = await load('cli/main.ts')
  process.exitCode = await main(process.argv.slice(2))
}

/** Runs this file again with another Node, and ends as that one ends. */
function startWith(node) {
  const child = spawn(node, [self, ...process.argv.slice(2)], {
    argv0: childName,
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child as well, and twice would look like an impatient user.
      if (signal === 'SIGINT' && process.stdin.isTTY) return
      child.kill(signal)
    })
  }
  child.on('error', (error) => {
    process.stderr.write(`Cannot start "${node}": ${error.message}\n`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    for (const name of signals) process.removeAllListeners(name)
    if (signal === null) {
      process.exitCode = code
      return
    }
    // Should the signal not end this process, the shell's number for it does.
    process.exitCode = 128 + constants.signals[signal]
    process.kill(process.pid, signal)
  })
}

/** Ends this process when the parent is gone, even by SIGKILL, which nobody can forward: the channel then closes. */
function followParent() {
  process.on('disconnect', () => process.exit(1))
  process.channel.unref() // the channel alone must never keep a finished command alive
}

/** The binary of the npm package `node`, or `undefined` where it is absent, too old, or was installed without scripts. */
function findNode() {
  try {
    const manifest = nodeModule.createRequire(self).resolve('node/package.json')
    const { bin, version } = JSON.parse(readFileSync(manifest, 'utf8'))
    const node = join(dirname(manifest), bin.node)
    return majorOf(version) >= oldestMajor && existsSync(node) ? node : undefined
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}

/**
 * Lets Node run this package's TypeScript when the package is installed as a dependency: Node itself refuses to strip
 * types of anything under node_modules.
 */
function stripTypesInPackage() {
  const root = new URL('../', pathToFileURL(self)).href
  nodeModule.registerHooks({
    load(url, context, nextLoad) {
      const isOurs = url.startsWith(root) && !url.startsWith(`${root}node_modules/`) && url.endsWith('.ts')
      if (!isOurs) return nextLoad(url, context)
      const source = withoutWarnings(() => nodeModule.stripTypeScriptTypes(readFileSync(fileURLToPath(url), 'utf8')))
      return { format: 'module', shortCircuit: true, source }
    },
  })
}

/** The function that strips types warns that it may change; that is news for us and not for whoever runs a command. */
function withoutWarnings(action) {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return action()
  } finally {
    process.emitWarning = emitWarning
  }
}

function majorOf(version) {
  return Number.parseInt(version, 10)
}
