import * as z from 'zod'
import { yamlKind } from '../../text/yaml.ts'

/** A required text that is not empty and has a maximum length. `wanted` completes `wanted ...`. */
export function textField(wanted: string, longest: number) {
  return z
    .string({
      error: ({ input }) =>
        input === undefined ? `wanted ${wanted}` : `it is ${yamlKind(input)}, wanted text: ${wanted}`,
    })
    .trim()
    .min(1, { error: `it is empty, wanted ${wanted}` })
    .max(longest, { error: `it is longer than ${longest} characters` })
}

/** A text in which `*` matches any text. */
export function pattern(expression: RegExp, wanted: string) {
  return z
    .string({ error: ({ input }) => `it is ${yamlKind(input)}, wanted ${wanted}` })
    .regex(expression, { error: `wanted ${wanted}` })
}

/** An optional list of texts; empty if absent. */
export function names<T extends z.ZodType<string>>(name: T) {
  return z
    .array(name, {
      error: ({ input }) =>
        typeof input === 'string' ? `wanted a list: write [${input}]` : `it is ${yamlKind(input)}, wanted a list`,
    })
    .default([])
}
