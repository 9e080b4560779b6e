/** Keys of the hashes and entries of a log (C2SP tlog-tiles): tiles of 256. */

/** Number of hashes or entries in a full tile. */
export const TILE_WIDTH = 256

/** The longest entry in bytes: bundles give its length in 16 bits. */
export const MAX_ENTRY_BYTES = 0xffff

/** A tile of a log (C2SP tlog-tiles). */
export type Tile = {
  /** 0 holds the hashes of leaves, each level above the roots of full tiles below; `entries` holds the leaves themselves. */
  readonly level: number | 'entries'
  /** From 0 within the level. */
  readonly index: number
  /** 1 to 256: how many hashes or entries; a full tile has 256. */
  readonly width: number
}

/** A bundle of entries is truncated or too long. */
export class BundleError extends Error {
  override readonly name = 'BundleError'
}

const PATH = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/
const MAX_LEVEL = 63

/** The path of a tile below the log's prefix, such as `tile/0/x001/x234/067.p/8`. */
export function tilePath({ level, index, width }: Tile): string {
  const digits = String(index)
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0')
  const groups = (padded.match(/\d{3}/g) ?? []).map((group, at, { length }) => (at < length - 1 ? `x${group}` : group))
  return `tile/${level}/${groups.join('/')}${width === TILE_WIDTH ? '' : `.p/${width}`}`
}

/** Parses the path of a tile; undefined for any text that {@link tilePath} does not make. */
export function parseTilePath(path: string): Tile | undefined {
  const [, levelText = '', groups = '', widthText] = PATH.exec(path) ?? []
  const level = levelText === 'entries' ? 'entries' : Number(levelText)
  const tile: Tile = {
    level,
    index: Number(groups.replaceAll(/[x/]/g, '')),
    width: widthText === undefined ? TILE_WIDTH : Number(widthText),
  }
  const isPossible =
    tile.width <= TILE_WIDTH && Number.isSafeInteger(tile.index) && (level === 'entries' || level <= MAX_LEVEL)
  return groups !== '' && isPossible && tilePath(tile) === path ? tile : undefined
}

/** Number of hashes that a level has in a tree of a size. */
export function hashesAt(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** level)
}

/** The rightmost tile of a level in a tree of a size, if partial; undefined if the level ends in a full tile, or is empty. */
export function partialTile(level: number, size: number): Tile | undefined {
  const count = hashesAt(level, size)
  const width = count % TILE_WIDTH
  return width === 0 ? undefined : { level, index: Math.floor(count / TILE_WIDTH), width }
}

/** Entries with their lengths before them. Throws {@link BundleError} for one that is too long. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    if (entry.length > MAX_ENTRY_BYTES)
      throw new BundleError(
        `Cannot write an entry of ${entry.length} bytes: a log's entry has at most ${MAX_ENTRY_BYTES}`,
      )
    return [Buffer.from([entry.length >> 8, entry.length & 0xff]), entry]
  })
  return Buffer.concat(parts)
}

/** The entries of a bundle. Throws {@link BundleError} if the last one is truncated. */
export function decodeBundle(bytes: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = []
  for (let at = 0; at < bytes.length;) {
    const [high, low] = bytes.subarray(at, at + 2)
    const end = low === undefined || high === undefined ? Infinity : at + 2 + high * 256 + low
    if (end > bytes.length) throw new BundleError(`Cannot read entry ${entries.length} of a bundle: it is cut off`)
    entries.push(bytes.subarray(at + 2, end))
    at = end
  }
  return entries
}
