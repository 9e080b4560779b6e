import type { Objects } from '../../../lib/store/objects/objects.ts'
import { StoreError } from '../../../lib/store/objects/objects.ts'
import { type Gate, memoryObjects } from './memory-objects.ts'
import type { Fate } from './interleaving.ts'

/** What may befall a request: it fails or its caller dies, each before it was done or after. */
export const FAULTS = ['fails-before', 'fails-after', 'dies-before', 'dies-after'] as const satisfies readonly Fate[]

/** How a step that was to be hit ended. */
export type Hit = {
  /** False where it made fewer requests. */
  readonly wasHit: boolean
  /** Such as "putIf state/shop.json"; empty where it was not hit. */
  readonly request: string
}

/** Runs a step on a store, of which request number `at`, from 0, meets with a fault. From then on one that died does nothing more. */
export async function runWithFault(
  held: Map<string, Uint8Array>,
  { fault, at }: { readonly fault: (typeof FAULTS)[number]; readonly at: number },
  step: (objects: Objects) => Promise<unknown>,
): Promise<Hit> {
  let left = at
  let request = ''
  let die: () => void = () => {}
  const death = new Promise<void>((resolve) => {
    die = resolve
  })
  const never = new Promise<never>(() => {})
  let isDead = false
  const gate: Gate = async ({ member, key }, effect) => {
    if (isDead) return never
    await Promise.resolve()
    if (left-- !== 0) return effect()
    request = `${member} ${key}`
    if (fault.endsWith('-after')) effect()
    if (fault.startsWith('fails')) throw new StoreError(`Cannot ${request}: it was to fail`)
    isDead = true
    die()
    return never
  }
  const ended = step(memoryObjects(held, gate)).catch((error: unknown) => {
    if (!(error instanceof StoreError)) throw error
  })
  await Promise.race([ended, death])
  return { wasHit: left < 0, request }
}

/** Whether two stores hold the same bytes under the same keys. */
export function areSame(a: ReadonlyMap<string, Uint8Array>, b: ReadonlyMap<string, Uint8Array>): boolean {
  return a.size === b.size && [...a].every(([key, body]) => Buffer.compare(body, b.get(key) ?? Buffer.of(0)) === 0)
}
