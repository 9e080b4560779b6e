import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { diskEffects } from '../../../lib/store/objects/directory-effects.ts'
import { directoryObjects } from '../../../lib/store/objects/directory.ts'
import type { DirectoryEffects } from '../../../lib/store/objects/directory-effects.ts'
import { StoreError } from '../../../lib/store/objects/objects.ts'
import type { Objects } from '../../../lib/store/objects/objects.ts'
import { numberedBody } from './numbered-body.ts'
import { objectsConformance } from './objects-conformance.ts'
import { errorText, matchesText, textWith } from '../../support/texts/matches-text.ts'

const run = promisify(execFile)

async function freshDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ciphertrail-store-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

function scriptPath(name: string): string {
  return new URL(name, import.meta.url).pathname
}

async function listed(objects: Objects): Promise<string[]> {
  return keysUnder(objects, '')
}

async function keysUnder(objects: Objects, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const key of objects.list(prefix)) keys.push(key)
  return keys
}

/** Whether a process ended by SIGKILL, as told by the error that execFile() throws. */
function wasKilled(error: unknown): boolean {
  return error instanceof Error && 'signal' in error && error.signal === 'SIGKILL'
}

objectsConformance('directory', async (t) => {
  const directory = join(await freshDirectory(t), 'store')
  const opener = { module: new URL('open-directory.ts', import.meta.url).href, argument: directory }
  return { objects: directoryObjects(directory), opener }
})

const killed = [
  { call: 'putOnce', key: 'evidence/w/c/1', before: undefined, after: numberedBody(2) },
  { call: 'putIf', key: 'state/c', before: undefined, after: numberedBody(2) },
  { call: 'putIf', key: 'state/c', before: numberedBody(1), after: numberedBody(2) },
  { call: 'remove', key: 'state/c', before: numberedBody(1), after: undefined },
]

for (const { call, key, before, after } of killed) {
  const title = `${call}() of ${before === undefined ? 'a new' : 'an existing'} object`
  test(`${title} that is killed at any step leaves the old state or the new one, and locks nobody out`, async (t) => {
    let step = 0
    for (let isDone = false; !isDone;) {
      step += 1
      const directory = join(await freshDirectory(t), 'store')
      const objects = directoryObjects(directory)
      if (before !== undefined) await objects.putIf(key, before, null)

      try {
        const script = scriptPath('directory-kill-child.ts')
        const { stdout } = await run(process.execPath, [script, directory, call, key, `${step}`])
        assert.equal(stdout, 'done\n')
        isDone = true
      } catch (error) {
        if (!wasKilled(error)) throw error
      }

      const reopened = directoryObjects(directory)
      const found = await reopened.get(key)
      const isWhole = [before, after].some((body) =>
        body === undefined || found === undefined ? body === found : Buffer.compare(body, found.body) === 0,
      )
      assert.ok(isWhole, `step ${step}: the old object or the new one`)
      assert.deepEqual(await listed(reopened), found === undefined ? [] : [key])
      await reopened.putIf('state/c', numberedBody(3), (await reopened.get('state/c'))?.etag ?? null)
      if (call === 'putOnce') await reopened.putOnce(key, numberedBody(2))
    }
    const leastSteps = call === 'remove' ? 2 : 7
    assert.ok(step > leastSteps, `it was killed at ${step - 1} steps before it ran to its end`)
  })
}

test('what is written, replaced or removed is on the disk before the call ends, its bytes before its name', async (t) => {
  const directory = join(await freshDirectory(t), 'store')
  const steps: string[] = []
  /** Which part of the store a path is: its folder for a file, itself for a folder. */
  const place = (path: string): string => path.slice(directory.length + 1) || 'the store'
  const told: DirectoryEffects = {
    ...diskEffects,
    async writeFile(path, body) {
      await diskEffects.writeFile(path, body)
      steps.push('bytes')
    },
    async link(from, to) {
      steps.push(`name ${place(to)}`)
      await diskEffects.link(from, to)
    },
    async rename(from, to) {
      await diskEffects.rename(from, to)
      steps.push(`rename ${place(to)}`)
    },
    async removeFile(path) {
      await diskEffects.removeFile(path)
      if (!place(path).startsWith('.tmp')) steps.push(`remove ${place(path)}`)
    },
    async syncDirectory(path) {
      await diskEffects.syncDirectory(path)
      if (path.startsWith(directory) && place(path) !== '.tmp') steps.push(`sync ${place(path)}`)
    },
  }
  const objects = directoryObjects(directory, told)
  const stepsOf = async (call: () => Promise<unknown>): Promise<string[]> => {
    steps.length = 0
    await call()
    return [...steps]
  }
  const upwards = ['sync evidence/w/c', 'sync evidence/w', 'sync evidence', 'sync the store']
  await objects.putOnce('evidence/w/c/0', Buffer.from('opens the store'))
  const put = () => objects.putOnce('evidence/w/c/1', Buffer.from('x'))
  assert.deepEqual(await stepsOf(put), ['bytes', 'name evidence/w/c/1', ...upwards])
  // Whoever made it may not have come so far.
  assert.deepEqual(await stepsOf(put), ['bytes', 'name evidence/w/c/1', ...upwards])
  let etag = ''
  assert.deepEqual(await stepsOf(async () => (etag = await objects.putIf('state/c', Buffer.from('1'), null))), [
    'bytes',
    'name state/c',
    'sync state',
    'sync the store',
  ])
  assert.deepEqual(await stepsOf(() => objects.putIf('state/c', Buffer.from('2'), etag)), [
    'bytes',
    'rename state/c',
    'sync state',
  ])
  assert.deepEqual(await stepsOf(() => objects.remove('state/c')), ['remove state/c', 'sync state'])
})

test('the effects on a disk bring bytes and names to it', async (t) => {
  const directory = await freshDirectory(t)
  await using probe = await open(directory, 'r')
  const sync = t.mock.method(Object.getPrototypeOf(probe) as typeof probe, 'sync')
  await diskEffects.writeFile(join(directory, 'a'), Buffer.from('x'))
  assert.equal(sync.mock.callCount(), 1)
  await diskEffects.syncDirectory(directory)
  assert.equal(sync.mock.callCount(), 2)
})

test('a file that a dead writer left is removed when it is an hour old, and not before', async (t) => {
  const directory = await freshDirectory(t)
  await mkdir(join(directory, '.tmp'))
  for (const name of ['old', 'young']) await writeFile(join(directory, '.tmp', name), 'half a bo')
  const { mtimeMs } = await stat(join(directory, '.tmp', 'young'))
  const longAgo = new Date(mtimeMs - 61 * 60_000)
  await utimes(join(directory, '.tmp', 'old'), longAgo, longAgo)
  // Its clock is not the one that dates files, as on a disk of another machine.
  t.mock.timers.enable({ apis: ['Date'], now: mtimeMs + 2 * 60 * 60_000 })

  const objects = directoryObjects(directory)
  assert.deepEqual(await listed(objects), [])
  await objects.putOnce('evidence/w/c/1', Buffer.from('x'))
  assert.deepEqual(await readdir(join(directory, '.tmp')), ['young'])
})

test('a store that is full says so in one line, and keeps what it had', async (t) => {
  const directory = await freshDirectory(t)
  const full: DirectoryEffects = {
    ...diskEffects,
    async writeFile(path, body) {
      await writeFile(path, body.subarray(0, body.length / 2), { flag: 'wx' })
      const device = openSync('/dev/full', 'w')
      try {
        writeSync(device, body)
      } finally {
        closeSync(device)
      }
    },
  }
  const etag = await directoryObjects(directory).putIf('state/c', numberedBody(1), null)
  const objects = directoryObjects(directory, full)
  const message = (key: string) =>
    `Cannot write "${key}" to store "${directory}": there is no room left, make some and run it again (ENOSPC)`
  await assert.rejects(objects.putIf('state/c', numberedBody(2), etag), {
    name: 'StoreError',
    message: message('state/c'),
  })
  await assert.rejects(objects.putOnce('evidence/w/c/1', numberedBody(2)), { message: message('evidence/w/c/1') })

  assert.equal((await objects.get('state/c'))?.etag, etag)
  assert.deepEqual(await listed(objects), ['state/c'])
  assert.deepEqual(await readdir(join(directory, '.tmp')), [])
})

test('a file that outgrows the limit of the process is refused whole', async (t) => {
  const directory = await freshDirectory(t)
  const script = `
    import { directoryObjects } from ${JSON.stringify(new URL('../../../lib/store/objects/directory.ts', import.meta.url).href)}
    await directoryObjects(process.argv[1]).putOnce('evidence/w/c/1', Buffer.alloc(200_000, 'x'))
      .catch((error) => console.log(error.name, error.message))`
  // 64 blocks of 512 or 1024 bytes, depending on the shell.
  const limited = `ulimit -f 64; exec "$0" --input-type=module -e "$1" "$2"`
  const { stdout } = await run('sh', ['-c', limited, process.execPath, script, directory])
  matchesText(stdout, textWith({ directory }))
  assert.deepEqual(await listed(directoryObjects(directory)), [])
  assert.deepEqual(await readdir(join(directory, '.tmp')), [])
})

test('a store that this user may not write is still read, and each write says so in one line', async (t) => {
  const parent = await freshDirectory(t)
  const directory = join(parent, 'store')
  await directoryObjects(directory).putIf('state/c', numberedBody(1), null)
  await chmod(parent, 0o755)
  for (const path of ['', 'state', '.tmp']) await chmod(join(directory, path), 0o555)
  // Of itself a store is read by its owner alone.
  await chmod(join(directory, 'state/c'), 0o644)
  try {
    for (const [call, what] of [
      ['putOnce', 'write "evidence/w/c/1" to'],
      ['putIf', 'write "state/c" to'],
      ['remove', 'remove "state/c" from'],
    ] as const) {
      const { stdout } = await run(process.execPath, [scriptPath('directory-limits-child.ts'), directory, call])
      assert.match(stdout, new RegExp(`^StoreError: Cannot ${what} store "${directory}": [^\n]+\n$`))
      assert.match(stdout, call === 'remove' ? /its lock cannot be opened/ : /this user may not, .*\(EACCES\)$/m)
    }
    assert.deepEqual(await listed(directoryObjects(directory)), ['state/c'])
  } finally {
    for (const path of ['', 'state', '.tmp']) await chmod(join(directory, path), 0o755)
  }
})

test('a store that is a file says so in one line for every call', async (t) => {
  const path = join(await freshDirectory(t), 'file')
  await writeFile(path, 'a file')
  const objects = directoryObjects(path)
  for (const call of [
    () => objects.get('state/c'),
    () => objects.putOnce('evidence/w/c/1', Buffer.from('x')),
    () => objects.putIf('state/c', Buffer.from('x'), null),
    () => objects.remove('state/c'),
    () => listed(objects),
  ]) {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof StoreError)
      assert.match(
        error.message,
        /^Cannot .* store ".*\/file": a part of the path is a file, it must be a directory \(\w+\)$/,
      )
      return true
    })
  }
  assert.equal(await readFile(path, 'utf8'), 'a file')
})

test('list() passes over names that no key can have, and names them to whoever wants to know', async (t) => {
  const directory = await freshDirectory(t)
  const objects = directoryObjects(directory)
  await objects.putOnce('evidence/w/c/1', Buffer.from('x'))
  await objects.putIf('state/c', Buffer.from('x'), null)
  await objects.putIf('state/c', Buffer.from('y'), (await objects.get('state/c'))?.etag ?? null)
  await writeFile(join(directory, 'evidence', 'w', '.DS_Store'), '')
  await mkdir(join(directory, 'lost+found'))
  // Each name is one that a key may have, and all of them are longer than a key may be.
  const deep = join(directory, 'evidence', ...Array.from({ length: 5 }, () => 'a'.repeat(250)))
  await mkdir(deep, { recursive: true })
  await writeFile(join(deep, '1'), '')
  const foreign: string[] = []
  const keys: string[] = []
  for await (const key of objects.list('', '', (name) => foreign.push(name))) keys.push(key)
  assert.deepEqual(keys, ['evidence/w/c/1', 'state/c'])
  assert.deepEqual(foreign.sort(), [
    `evidence/${'a/'.replace('a', 'a'.repeat(250)).repeat(5)}`,
    'evidence/w/.DS_Store',
    'lost+found/',
  ])
})

test('what stands in the place of an object, and is none, is listed, cannot be read, and hides no other', async (t) => {
  const directory = await freshDirectory(t)
  const objects = directoryObjects(directory)
  for (const key of ['evidence/w/a/1', 'evidence/w/c-1/1', 'evidence/w/z/1'])
    await objects.putOnce(key, Buffer.from('x'))
  await run('mkfifo', [join(directory, 'evidence', 'w', 'a', '2')])
  await symlink('/', join(directory, 'evidence', 'w', 'c'))
  const server = createServer().listen(join(directory, 'evidence', 'w', 'socket'))
  await once(server, 'listening')
  t.after(() => server.close())
  const odd = ['evidence/w/a/2', 'evidence/w/c', 'evidence/w/socket']
  const all = [...odd, 'evidence/w/a/1', 'evidence/w/c-1/1', 'evidence/w/z/1'].sort()
  assert.deepEqual(await listed(objects), all)
  for (const key of all) {
    const isOdd = odd.includes(key)
    assert.equal((await objects.unusable?.(key)) === null, !isOdd)
    if (isOdd) await assert.rejects(objects.get(key), { name: 'UnusableError' })
  }
  // What would be in the folder that is a link is asked for, too.
  for (const ask of [() => objects.get('evidence/w/c/1'), () => keysUnder(objects, 'evidence/w/c/')])
    await assert.rejects(ask, { name: 'UnusableError', message: /"[^"]*evidence\/w\/c" is a link, move it away$/ })
  await assert.rejects(objects.putOnce('evidence/w/a/2', Buffer.from('x')), { name: 'ConflictError' })
  assert.equal(await objects.unusable?.('evidence/w/absent/1'), null)
})

test('a folder of a store that was checked is checked again, since somebody may have replaced it by a link', async (t) => {
  const [directory, elsewhere] = [await freshDirectory(t), await freshDirectory(t)]
  const objects = directoryObjects(directory)
  await objects.putOnce('evidence/w/c/1', Buffer.from('x'))
  await writeFile(join(elsewhere, '1'), 'secret')
  assert.equal(Buffer.from((await objects.get('evidence/w/c/1'))?.body ?? []).toString(), 'x')
  await rm(join(directory, 'evidence', 'w', 'c'), { recursive: true })
  await symlink(elsewhere, join(directory, 'evidence', 'w', 'c'))
  const until = performance.now() + 1100
  while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(objects.get('evidence/w/c/1'), { name: 'UnusableError' })
})

test('what is closed to this user is listed, and hides no other; a closed top folder closes the store', async (t) => {
  const directory = await freshDirectory(t)
  const objects = directoryObjects(directory)
  for (const key of ['evidence/w/a/1', 'evidence/w/a/2', 'evidence/w/c/1', 'evidence/w/z/1', 'evidence/x/a/1'])
    await objects.putOnce(key, Buffer.from('x'))
  await run('chmod', ['-R', 'a+rX', directory])
  await chmod(join(directory, 'evidence/w/a/2'), 0o000)
  await chmod(join(directory, 'evidence/w/c'), 0o000)
  await chmod(join(directory, 'evidence/x'), 0o000)
  const asOther = async (): Promise<string> =>
    (await run(process.execPath, [scriptPath('directory-limits-child.ts'), directory, 'list'])).stdout
  const closed = 'it cannot be read: this user may not, check who owns it (EACCES)'
  assert.equal(
    await asOther(),
    [
      'evidence/w/a/1 usable',
      `evidence/w/a/2 ${closed}`,
      `evidence/w/c ${closed}`,
      'evidence/w/z/1 usable',
      `evidence/x ${closed}`,
      '',
    ].join('\n'),
  )
  await chmod(join(directory, 'evidence'), 0o000)
  matchesText(await asOther())
  await run('chmod', ['-R', 'u+rwX', directory])
})

test('nothing waits for a pipe, reads a device, follows a link or fills the memory in the place of an object', async (t) => {
  const folder = await freshDirectory(t)
  await mkdir(join(folder, 'evidence'))
  await run('mkfifo', [join(folder, 'evidence', 'pipe')])
  await symlink('/dev/zero', join(folder, 'evidence', 'device'))
  await symlink('/etc/hostname', join(folder, 'evidence', 'link'))
  // Sparse: it takes no room, and would be read whole.
  await writeFile(join(folder, 'evidence', 'huge'), '')
  await truncate(join(folder, 'evidence', 'huge'), 4 * 1024 ** 3)
  const objects = directoryObjects(folder)
  for (const name of ['pipe', 'device', 'link'])
    for (const ask of [objects.digest, objects.get])
      await assert.rejects(
        ask(`evidence/${name}`),
        /^UnusableError: Cannot read ".+": it is neither a file nor a directory, move it away$/,
      )
  await assert.rejects(objects.get('evidence/huge'), errorText())
  for (const name of ['pipe', 'device', 'link', 'huge'])
    await assert.rejects(objects.putOnce(`evidence/${name}`, Buffer.from('x')), { name: 'ConflictError' })
})

test('a folder of a store that is a link is neither read, hashed, listed nor written through; the store itself may be one', async (t) => {
  const [elsewhere, parent] = [await freshDirectory(t), await freshDirectory(t)]
  await mkdir(join(elsewhere, 'w', 'c'), { recursive: true })
  await writeFile(join(elsewhere, 'w', 'c', '1'), 'secret')
  await mkdir(join(parent, 'store', 'windows'), { recursive: true })
  await symlink(elsewhere, join(parent, 'store', 'evidence'))
  await symlink(join(elsewhere, 'w'), join(parent, 'store', 'windows', 'w'))
  await symlink(join(parent, 'store'), join(parent, 'link'))
  const objects = directoryObjects(join(parent, 'link'))
  for (const [key, folder] of [
    ['evidence/w/c/1', 'evidence'],
    ['windows/w/c/1', 'windows/w'],
    ['windows/w/c/absent', 'windows/w'],
  ] as const) {
    const refused = {
      message: `Cannot use "${key}" of store "${join(parent, 'link')}": "${join(parent, 'link', folder)}" is a link, move it away`,
    }
    await assert.rejects(objects.get(key), refused)
    await assert.rejects(objects.digest(key), refused)
    await assert.rejects(objects.putOnce(key, Buffer.from('x')), refused)
    await assert.rejects(keysUnder(objects, `${folder}/`), /is a link, move it away$/)
  }
  assert.deepEqual(await listed(objects), ['evidence', 'windows/w'])
  await objects.putOnce('state/c', Buffer.from('x'))
  assert.equal(Buffer.from((await objects.get('state/c'))?.body ?? []).toString(), 'x')
})

test('a store that does not exist yet is empty, and reading does not make it', async (t) => {
  const parent = await freshDirectory(t)
  const objects = directoryObjects(join(parent, 'deep', 'store'))
  assert.equal(await objects.get('state/c'), undefined)
  await objects.remove('state/c')
  assert.deepEqual(await listed(objects), [])
  assert.deepEqual(await readdir(parent), [])
  await objects.putOnce('state/c', Buffer.from('x'))
  assert.deepEqual(await listed(objects), ['state/c'])
})
