/** Asks an address again and again until its input ends. Prints the longest time that an answer took, less what this process itself was late at that time, in ms. */
import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const PAUSE_MS = 50
const [, , address = ''] = process.argv
let slowest = 0
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
  const late = performance.now() - slept - PAUSE_MS
  const asked = performance.now()
  const status = await answered()
  if (status !== 200) throw new Error(`It said ${status}`)
  slowest = Math.max(slowest, performance.now() - asked - late)
}
process.stdout.write(String(Math.round(slowest)))
