/** A time stamp, or what is trusted of those who sign them, is not what it should be. One line, in words that follow a name. */
export class TimestampError extends Error {
  override readonly name = 'TimestampError'
}
