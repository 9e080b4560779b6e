import type { FileHandle } from 'node:fs/promises'

/** Uses an open file, and closes it in any case. */
export async function closing<T>(file: FileHandle, act: (file: FileHandle) => Promise<T>): Promise<T> {
  try {
    return await act(file)
  } finally {
    await file.close()
  }
}
