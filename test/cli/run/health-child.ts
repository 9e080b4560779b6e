/** Asks an address again and again until its input ends. Prints the longest time that an answer took, less the longest time that this process itself was late on a busy machine, in ms. */
import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const PAUSE_MS = 50
const [, , address = ''] = process.argv
let [slowest, latest] = [0, 0]
let isOver = false
process.stdin.on('end', () => (isOver = true)).resume()

const answered = (): Promise<number> =>
  new Promise((resolve, reject) => {
    get(address, { agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
    }).on('error', reject)
  })

while (!isOver) {
  const slept = performance.now()
  await sleep(PAUSE_MS)
  latest = Math.max(latest, performance.now() - slept - PAUSE_MS)
  const asked = performance.now()
  const status = await answered()
  if (status !== 200) throw new Error(`It said ${status}`)
  slowest = Math.max(slowest, performance.now() - asked)
}
process.stdout.write(String(Math.round(slowest - latest)))
