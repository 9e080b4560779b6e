/** Returns an IANA time zone unchanged. Throws a RangeError with the wanted form if it is unknown. */
export function checkedZone(timeZone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone
  } catch (error) {
    throw new RangeError(`Cannot use time zone "${timeZone}": wanted an IANA name, such as Europe/Berlin or UTC`, {
      cause: error,
    })
  }
}
