import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A Prometheus server that answers from a recorded data directory. */
export type RecordedPrometheus = {
  readonly url: string
  /** Stops the server and removes its copy of the data. May be called twice. */
  readonly stop: () => Promise<void>
}

const READY_WITHIN_MS = 60_000

/**
 * Starts the installed `prometheus` on a copy of a recorded TSDB (`tsdb.tar.zst`, which holds the folder `tsdb`), on a free
 * loopback port. It is stopped at the end of this process at the latest. Throws an error that names what is absent, or the
 * server's last words where it does not become ready within a minute.
 */
export async function startPrometheus(archive: string, program = 'prometheus'): Promise<RecordedPrometheus> {
  requireInstalled('zstd', 'zstd')
  requireInstalled(program, 'prometheus')
  const folder = mkdtempSync(join(tmpdir(), 'ciphertrail-prometheus-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  let child: ChildProcess | undefined
  const kill = (): void => {
    child?.kill('SIGKILL')
    remove()
  }
  process.once('exit', kill)
  const stop = async (): Promise<void> => {
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child?.once('exit', resolve))
      child.kill('SIGKILL') // the copy is thrown away, so nothing needs to be written
      await ended
    }
    process.off('exit', kill)
    remove()
  }
  try {
    const unpacked = spawnSync('tar', ['--zstd', '-xf', archive, '-C', folder], { encoding: 'utf8' })
    if (unpacked.status !== 0)
      throw new Error(`Cannot unpack "${archive}": ${unpacked.stderr.split('\n')[0] || 'tar failed'}`)
    writeFileSync(join(folder, 'none.yml'), '{}\n')
    const port = await freePort()
    const words: string[] = []
    child = spawn(
      program,
      [
        `--config.file=${join(folder, 'none.yml')}`,
        `--storage.tsdb.path=${join(folder, 'tsdb')}`,
        '--storage.tsdb.retention.time=100y', // or Prometheus deletes what is older than 15 days
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=warn',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    child.stderr?.on('data', (chunk: Buffer) => words.push(chunk.toString()))
    child.once('error', (error) => words.push(error.message))
    const url = `http://127.0.0.1:${port}`
    const deadline = Date.now() + READY_WITHIN_MS
    while (!(await isReady(url))) {
      const ended = child.exitCode !== null || child.signalCode !== null
      if (ended || Date.now() > deadline)
        throw new Error(
          `Cannot use Prometheus on "${archive}": it ${ended ? 'ended' : 'was not ready in time'}, with: ${words.join('').trim().split('\n').at(-1) ?? ''}`,
        )
      await sleep(50)
    }
    return { url, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function requireInstalled(program: string, debianPackage: string): void {
  const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' })
  if (error !== undefined)
    throw new Error(
      `Cannot start Prometheus on a recording: "${program}" is not installed (apt-get install ${debianPackage})`,
    )
}

async function isReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(2000) })).ok
  } catch {
    return false // not listening yet
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('Cannot find a free port on loopback')
  return address.port
}
