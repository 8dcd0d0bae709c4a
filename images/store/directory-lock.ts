import { spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../failure.ts'

/**
 * Holds a directory for this process alone, until the returned function is called or the process ends, however it ends:
 * `flock` (util-linux) locks the open file that it inherits from us, and the kernel keeps that lock as long as we have
 * the file open. So no lock is ever stale, whatever process ids a container hands out.
 *
 * Throws Error when another process, or another service in this one, has it.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, 'lock')
  const file = await open(path, 'a+', 0o600)
  try {
    if (!(await flock(file.fd))) {
      const holder = (await readFile(path, 'utf8')).trim()
      throw new Error(`the image store ${directory} is in use by another process (${holder || 'unknown'})`)
    }
    await file.truncate(0)
    await file.write(`pid ${process.pid}\n`)
  } catch (error) {
    await file.close()
    throw error
  }
  return () => file.close()
}

function flock(fd: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] })
    child.on('error', (cause) => {
      const missing = codeOf(cause) === 'ENOENT'
      reject(new Error(missing ? 'flock is not installed: install util-linux' : 'flock cannot be run', { cause }))
    })
    child.on('close', (code) => {
      if (code === 0 || code === 1) resolve(code === 0)
      else reject(new Error(`the image store cannot be locked: flock ended with ${code}`))
    })
  })
}
