/** What a store holds, by key. */
export type Held = ReadonlyMap<string, Uint8Array>

/** What a damage changed: objects by key, null for one that is gone. Empty where it would change nothing. */
export type Changes = ReadonlyMap<string, Uint8Array | null>

/** One kind of damage to one object. `pick` gives a whole number from 0 to before its argument. */
export type Damage = {
  readonly name: string
  readonly changes: (key: string, held: Held, pick: (below: number) => number) => Changes
}

const none: Changes = new Map()

/** Every way in which the bytes and names of objects can be wrong, one at a time. */
export const DAMAGES: readonly Damage[] = [
  {
    name: 'flip a bit',
    changes: (key, held, pick) => {
      const body = Buffer.from(bodyOf(key, held))
      if (body.length === 0) return none
      const at = pick(body.length)
      body[at] = (body[at] ?? 0) ^ (1 << pick(8))
      return new Map([[key, body]])
    },
  },
  {
    name: 'cut',
    changes: (key, held, pick) => {
      const body = bodyOf(key, held)
      return body.length === 0 ? none : new Map([[key, body.subarray(0, pick(body.length))]])
    },
  },
  {
    name: 'cut the last byte',
    changes: (key, held) => {
      const body = bodyOf(key, held)
      return body.length === 0 ? none : new Map([[key, body.subarray(0, -1)]])
    },
  },
  {
    name: 'add a byte',
    changes: (key, held, pick) => new Map([[key, Buffer.concat([bodyOf(key, held), Buffer.of(pick(256))])]]),
  },
  { name: 'drop', changes: (key) => new Map([[key, null]]) },
  {
    name: 'overwrite by another object',
    changes: (key, held, pick) => overwritten(key, otherKey(held, pick), held),
  },
  {
    name: 'overwrite by the object before',
    changes: (key, held) => {
      const keys = [...held.keys()].sort()
      return overwritten(key, keys[keys.indexOf(key) - 1] ?? key, held)
    },
  },
  {
    name: 'swap with another object',
    changes: (key, held, pick) => swapped(key, otherKey(held, pick), held),
  },
  {
    name: 'swap with the object after',
    changes: (key, held) => {
      const keys = [...held.keys()].sort()
      return swapped(key, keys[keys.indexOf(key) + 1] ?? key, held)
    },
  },
  { name: 'copy to the next key', changes: (key, held) => new Map([[nextKey(key, held), bodyOf(key, held)]]) },
  {
    name: 'move to the next key',
    changes: (key, held) =>
      new Map<string, Uint8Array | null>([
        [key, null],
        [nextKey(key, held), bodyOf(key, held)],
      ]),
  },
  {
    name: 'add an object beside it',
    changes: (key, _, pick) => {
      const folders = key.split('/').slice(0, -1)
      const folder = folders.slice(0, pick(folders.length + 1))
      return new Map([[[...folder, `added-${pick(1000)}`].join('/'), Buffer.from('added')]])
    },
  },
]

/** The store with the changes. */
export function damaged(held: Held, changes: Changes): Map<string, Uint8Array> {
  const after = new Map(held)
  for (const [key, body] of changes) {
    if (body === null) after.delete(key)
    else after.set(key, body)
  }
  return after
}

function overwritten(key: string, other: string, held: Held): Changes {
  const body = bodyOf(other, held)
  return Buffer.compare(body, bodyOf(key, held)) === 0 ? none : new Map([[key, body]])
}

function swapped(key: string, other: string, held: Held): Changes {
  const [own, others] = [bodyOf(key, held), bodyOf(other, held)]
  if (Buffer.compare(own, others) === 0) return none
  return new Map([
    [key, others],
    [other, own],
  ])
}

function otherKey(held: Held, pick: (below: number) => number): string {
  return [...held.keys()][pick(held.size)] ?? ''
}

function bodyOf(key: string, held: Held): Uint8Array {
  return held.get(key) ?? Buffer.of()
}

/** The key with its last number raised until nobody has it; with a word added where it has no number. */
function nextKey(key: string, held: Held): string {
  const [, before = '', number, after = ''] = /^(.*?)(\d+)(\D*)$/.exec(key) ?? []
  if (number === undefined) return `${key}-copy`
  for (let next = Number(number) + 1; ; next++) {
    const candidate = `${before}${String(next).padStart(number.length, '0')}${after}`
    if (!held.has(candidate)) return candidate
  }
}
