import type { FileHandle } from 'node:fs/promises'

/** Does something with an open file, and closes it, whatever comes of that. */
export async function closing<T>(file: FileHandle, act: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await act(file)
  } finally {
    await file.close()
  }
}
