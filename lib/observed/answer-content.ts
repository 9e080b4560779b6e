import { hash } from 'node:crypto'
import type { MetricsAnswer } from '../model/snapshot.ts'
import type { Window } from '../model/time.ts'
import { AnswerError, parseAnswer, type Series } from './answers.ts'
import { STATED_MOMENTS } from './prometheus-queries.ts'
import { toSeconds } from '../time/windows.ts'

/**
 * Stands for what answers say of a window, 64 hex digits: equal where the same queries gave the same series with the same samples, in whatever order and
 * form. Scrapes after the end of the window are left out: they only close the last interval of each proxy, and who asks as soon as he may lacks some
 * of them every time.
 */
export function contentOf(answers: readonly MetricsAnswer[], window: Window): string {
  const end = toSeconds(window.end)
  const each = answers.map(({ name, query, time, body }) => {
    const until = name === 'scrapes' ? end : Infinity
    return hash('sha256', [name, query, String(Number(time)), ...seriesOf(name, body, until)].join('\n'), 'hex')
  })
  return hash('sha256', each.sort().join('\n'), 'hex')
}

/** One line for each series, sorted; of what is no answer its text. */
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
