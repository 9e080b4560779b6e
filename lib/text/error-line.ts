import { printable } from './printable.ts'

/** An error as one printable line. */
export function errorLine(error: unknown): string {
  return printable((error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '').slice(0, 500)
}
