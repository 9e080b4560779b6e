/**
 * Reads or writes a store as a user without rights: `node directory-limits-child.ts <directory> <call>`. Prints the error's
 * name and message; with `list`, each key and whether it can be read.
 */
import { directoryObjects } from '../../../lib/store/objects/directory.ts'

const [directory = '', call = ''] = process.argv.slice(2)
const objects = directoryObjects(directory)

// Root may write everywhere; nobody may not.
if (process.getuid?.() === 0) {
  process.setgroups?.([])
  process.setgid?.(65534)
  process.setuid?.(65534)
}

try {
  if (call === 'list') {
    for await (const key of objects.list('')) console.log(key, (await objects.unusable?.(key)) ?? 'usable')
    process.exit(0)
  }
  const found = await objects.get('state/c')
  if (call === 'putOnce') await objects.putOnce('evidence/w/c/1', Buffer.from('x'))
  if (call === 'putIf') await objects.putIf('state/c', Buffer.from('x'), found?.etag ?? null)
  if (call === 'remove') await objects.remove('state/c')
  console.log('no error')
} catch (error) {
  console.log(error instanceof Error ? `${error.name}: ${error.message}` : error)
}
