import { createHash } from 'node:crypto'

/** A body that shows whether it is whole, and which one it is. */
export function numberedBody(number: number): Buffer {
  const filling = createHash('sha256').update(String(number)).digest('hex').repeat(2000)
  return Buffer.from(`${number}:${filling}:${number}`)
}
