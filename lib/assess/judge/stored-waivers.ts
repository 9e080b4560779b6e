/** The register of waivers as it is stored; parse-waivers.ts reads the YAML that people write. */
import * as z from 'zod'
import type { Waiver } from '../../model/judgement.ts'

/** Schema of a waiver as it is stored. */
export const storedWaiver = z.object({
  id: z.string(),
  cluster: z.string().exactOptional(),
  rules: z.array(z.string()).exactOptional(),
  source: z.string().exactOptional(),
  destination: z.string().exactOptional(),
  port: z.int().exactOptional(),
  owner: z.string(),
  reason: z.string(),
  compensatingControl: z.string(),
  expires: z.iso.datetime(),
})

/** Schema of stored waivers. */
const storedWaivers = z.object({
  format: z.literal('ciphertrail/waivers/1'),
  waivers: z.array(storedWaiver).readonly(),
})

/** Encodes waivers as the JSON that is stored. */
export function encodeWaivers(waivers: readonly Waiver[]): unknown {
  return { format: 'ciphertrail/waivers/1', waivers }
}

/** Decodes the output of {@link encodeWaivers}; undefined for anything else. */
export function decodeWaivers(stored: unknown): readonly Waiver[] | undefined {
  return storedWaivers.safeParse(stored).data?.waivers
}
