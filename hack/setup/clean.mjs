import { existsSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { cacheDirectory, root, runDirectory } from './directories.mjs'
import { node } from './node-modules.mjs'
import { runGroup } from './processes.mjs'

/**
 * Ends what runs from this checkout's `.run`, and local hypervisors whose owner is gone, then removes `.run`; with
 * `cache` also everything that was built.
 * @param {{ cache: boolean }} options
 */
export async function clean({ cache }) {
  const hypervisors = join(root, 'hack/hypervisor/cleanup.ts')
  if (existsSync(node) && existsSync(hypervisors)) {
    const code = await runGroup(node, [hypervisors])
    if (code !== 0) throw new Error(`removing left hypervisors failed with exit code ${code}`)
  }
  for (const pid of controlPlaneProcesses()) {
    console.error(`ending process ${pid}`)
    process.kill(pid, 'SIGKILL')
  }
  rmSync(runDirectory, { recursive: true, force: true })
  if (cache) rmSync(cacheDirectory(), { recursive: true, force: true })
}

/** Ids of kube-one processes that work in a directory of `.run`. */
function controlPlaneProcesses() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const program = basename(readlinkSync(`/proc/${pid}/exe`))
        return program === 'kube-one' && readlinkSync(`/proc/${pid}/cwd`).startsWith(`${runDirectory}/`)
      } catch {
        // It has ended, or is another person's.
        return false
      }
    })
    .map(Number)
}
