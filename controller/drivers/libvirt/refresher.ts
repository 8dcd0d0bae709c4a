import type { CallOptions as LibvirtCallOptions, StoragePool } from 'node-libvirt'
import { LibvirtError } from 'node-libvirt'

/** Milliseconds for which what a pool's refresh found is good enough. */
const interval = 60_000

/**
 * Has libvirt look at a pool's files again, at most once a minute: it opens every file there. Without it, free space
 * and what other programs put into the pool would stay as they were when the daemon started.
 */
export class PoolRefresher {
  readonly #last = new Map<string, number>()

  /** Busy or stopped pools are left as they are: what libvirt knows of them is told all the same. */
  async refresh(pool: StoragePool, options: LibvirtCallOptions): Promise<void> {
    const now = performance.now()
    const last = this.#last.get(pool.uuid)
    if (last !== undefined && now - last < interval) return
    if (!(await pool.isActive(options))) return
    this.#last.set(pool.uuid, now)
    try {
      await pool.refresh(options)
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error
    }
  }
}
