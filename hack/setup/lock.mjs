import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Runs `action` while no other process of this machine holds the lock `file`. The kernel frees the lock when its
 * holder ends, however that happens, so that no stale lock can be left.
 * @template T
 * @param {string} file
 * @param {() => Promise<T>} action
 * @param {() => void} [onWait] called once when another process has the lock
 * @returns {Promise<T>}
 */
export async function withLock(file, action, onWait = () => {}) {
  mkdirSync(dirname(file), { recursive: true })
  // The holder ends when its standard input does: when this process says so, or when it is no more.
  const script = 'flock --nonblock 9 || { echo waiting; flock 9; }; echo held; exec cat'
  const holder = spawn('sh', ['-c', `exec 9>>"$0"; ${script}`, file], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  const released = new Promise((resolve) => holder.once('close', resolve))
  try {
    await new Promise((resolve, reject) => {
      holder.once('error', reject)
      holder.once('close', (code) => reject(new Error(`cannot lock ${file}: exit code ${code}`)))
      let said = ''
      holder.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        const before = said
        said += text
        if (said.includes('waiting') && !before.includes('waiting')) onWait()
        if (said.includes('held')) resolve(undefined)
      })
    })
    return await action()
  } finally {
    holder.stdin.end()
    await released
  }
}
