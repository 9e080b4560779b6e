import { hash } from 'node:crypto'
import type { MetricsAnswer } from '../model/snapshot.ts'
import type { Window } from '../model/time.ts'
import { AnswerError, parseAnswer, type Series } from './answers.ts'
import { STATED_MOMENTS } from './prometheus-queries.ts'
import { toSeconds } from '../time/windows.ts'

/**
 * Returns a digest of the answers for a window, 64 hex digits. It is equal if the same queries returned the same series and samples, in any order and form.
 * Scrapes after the end of the window are left out: they only close each proxy's last interval, and an early query always misses some.
 */
export function contentOf(answers: readonly MetricsAnswer[], window: Window): string {
  const end = toSeconds(window.end)
  const each = answers.map(({ name, query, time, body }) => {
    const until = name === 'scrapes' ? end : Infinity
    return hash('sha256', [name, query, String(Number(time)), ...seriesOf(name, body, until)].join('\n'), 'hex')
  })
  return hash('sha256', each.sort().join('\n'), 'hex')
}

/** Returns one line for each series, sorted; the text itself if it is not an answer. */
function seriesOf(name: string, body: string, until: number): string[] {
  try {
    return parseAnswer(body, STATED_MOMENTS.has(name))
      .map((series) => lineOf(series, until))
      .filter((line) => line !== null)
      .sort()
  } catch (error) {
    if (!(error instanceof AnswerError)) throw error
    return [body]
  }
}

function lineOf({ labels, samples }: Series, until: number): string | null {
  const said = samples.filter(({ time }) => time <= until).map(({ time, value }) => [time, value])
  if (said.length === 0) return null
  return JSON.stringify([Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)), said])
}
