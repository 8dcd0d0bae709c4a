import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Installs packages without starting their services; needs root. People may call it by hand. */
export const installer = fileURLToPath(new URL('apt-install', import.meta.url))

/**
 * Those of `wanted` that are not installed, each once.
 * @param {readonly string[]} wanted
 * @param {string} listing lines of "NAME STATUS", as dpkg-query prints them for --showformat of statusFormat
 */
export function missingPackages(wanted, listing) {
  const installed = new Set()
  for (const line of listing.split('\n')) {
    const [name, status] = line.split(' ')
    if (status === 'installed') installed.add(name)
  }
  return [...new Set(wanted)].filter((name) => !installed.has(name))
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own syntax
export const statusFormat = '${Package} ${db:Status-Status}\n'

export function isDebian() {
  return existsSync('/usr/bin/dpkg-query') && existsSync('/usr/bin/apt-get')
}

/** @param {readonly string[]} wanted */
export function missingHere(wanted) {
  // It exits with 1 when it knows nothing of one of them, having listed the others.
  const query = spawnSync('dpkg-query', ['--show', `--showformat=${statusFormat}`, ...wanted], { encoding: 'utf8' })
  if (query.error) throw query.error
  return missingPackages(wanted, query.stdout)
}

/** Whether apt knows any package to download: containers come without its lists. */
export function hasPackageLists() {
  try {
    return readdirSync('/var/lib/apt/lists').some((name) => name.includes('_Packages'))
  } catch {
    return false
  }
}

/**
 * The words to put before a command so that it runs as root without a question, or undefined when there are none.
 * @returns {string[] | undefined}
 */
export function asRoot() {
  if (process.getuid?.() === 0) return []
  try {
    execFileSync('sudo', ['-n', 'true'], { stdio: 'ignore' })
    return ['sudo', '-n']
  } catch {
    return undefined
  }
}
