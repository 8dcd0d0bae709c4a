import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf } from '../failure.ts'

/** The file is wholly the old or wholly the new one, whatever happens meanwhile, and the new one once this resolves. */
export async function writeJSON(path: string, value: unknown): Promise<void> {
  const temporaryPath = `${path}.tmp`
  const file = await open(temporaryPath, 'w', 0o600)
  try {
    await file.writeFile(JSON.stringify(value))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporaryPath, path)
  await syncDirectory(dirname(path))
}

/** Undefined: not there. `broken`: there, but no JSON. Other errors are thrown. */
export async function readJSON(path: string): Promise<{ value: unknown } | 'broken' | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  try {
    return { value: JSON.parse(text) }
  } catch {
    return 'broken'
  }
}

/** Makes names that were added, renamed or removed in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true })
  await syncDirectory(dirname(path))
}

export async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

/** Writes all of it: a single write may take less. */
export async function writeFully(file: FileHandle, data: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < data.length) {
    const { bytesWritten } = await file.write(data, done, data.length - done, position + done)
    done += bytesWritten
  }
}
