import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheDirectory } from '../setup/directories.mjs'
import { withLock } from '../setup/lock.mjs'
import { runSaying } from '../setup/processes.mjs'

const requirements = fileURLToPath(new URL('requirements.txt', import.meta.url))

/**
 * A Python that has XAPI's own client, and whether it is there.
 * @returns {{ ready: boolean, python: string, directory: string }}
 */
export function xenApiPython() {
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16)
  const directory = join(cacheDirectory(), 'xenapi', digest)
  return { ready: existsSync(join(directory, 'ready')), python: join(directory, 'bin/python'), directory }
}

/**
 * Installs the client into a virtual environment in the cache, unless it is there.
 * @param {(line: string) => void} say gets progress and the tools' output, line by line
 * @returns {Promise<void>}
 */
export async function installXenApi(say) {
  const { directory, python } = xenApiPython()
  const install = async () => {
    if (xenApiPython().ready) return
    // A virtual environment cannot be moved, so a mark tells one that is whole from one that was cut short.
    rmSync(directory, { recursive: true, force: true })
    await runSaying('/usr/bin/python3', ['-m', 'venv', directory], say)
    const options = ['--disable-pip-version-check', '--no-deps', '--require-hashes', '--requirement', requirements]
    await runSaying(python, ['-m', 'pip', 'install', ...options], say)
    writeFileSync(join(directory, 'ready'), '')
  }
  mkdirSync(dirname(directory), { recursive: true })
  await withLock(join(dirname(directory), 'lock'), install, () => say('another process installs it; waiting'))
}
