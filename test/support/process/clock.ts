/** What a process that gets an environment of its own must be given beside it to go by the clock of this one, where `run-tests-on-another-day` set it. */
export function clockVariables(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] =>
      /^(LD_PRELOAD|FAKETIME\w*|DONT_FAKE_\w+|NO_FAKE_STAT)$/.test(entry[0]),
    ),
  )
}
