import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from './directories.mjs'

/** The Node that runs everything but this set-up, from the npm package `node`. */
export const node = join(root, 'node_modules/.bin/node')

/** @typedef {Readonly<Record<string, { version?: string, link?: boolean, optional?: boolean }>>} LockedPackages */

/**
 * Whether node_modules holds what the lock file says. By content, not by time: a checkout touches the lock file's time.
 * @param {LockedPackages} locked `packages` of package-lock.json
 * @param {LockedPackages} installed `packages` of node_modules/.package-lock.json
 */
export function matches(locked, installed) {
  for (const [path, entry] of Object.entries(locked)) {
    // The root and the workspaces are this checkout itself; optional packages are for some platforms only.
    if (!path.includes('node_modules/')) continue
    const found = installed[path]
    if (found === undefined ? !entry.optional : found.version !== entry.version) return false
  }
  return Object.keys(installed).every((path) => locked[path] !== undefined)
}

/** @returns {'absent' | 'outdated' | 'ready'} */
export function nodeModulesState() {
  const record = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(record)) return 'absent'
  const packages = (/** @type {string} */ file) => JSON.parse(readFileSync(file, 'utf8')).packages
  return matches(packages(join(root, 'package-lock.json')), packages(record)) ? 'ready' : 'outdated'
}

/**
 * The npm that runs this, else the one on the path; never the Node in node_modules, which `npm ci` removes.
 * @param {NodeJS.ProcessEnv} [environment]
 * @returns {{ command: string, args: string[], env: NodeJS.ProcessEnv }}
 */
export function npmCi(environment = process.env) {
  const { npm_execpath: script, npm_node_execpath: runner, PATH: path = '' } = environment
  const bin = join(root, 'node_modules')
  const env = {
    ...environment,
    PATH: path
      .split(delimiter)
      .filter((folder) => !folder.startsWith(bin))
      .join(delimiter),
  }
  if (script?.endsWith('.js') && runner && !runner.startsWith(bin))
    return { command: runner, args: [script, 'ci'], env }
  return { command: 'npm', args: ['ci'], env }
}

/** Why the Node of node_modules can't be used, or undefined when it can. */
export function nodeProblem() {
  let version = ''
  try {
    version = execFileSync(node, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return (
      'node_modules/.bin/node does not run. The npm package "node" puts it there by its install script, which npm did ' +
      'not run: see `npm config get ignore-scripts` and "allowScripts" in package.json, then `npm rebuild node`.'
    )
  }
  if (!/^v24\./.test(version)) return `node_modules/.bin/node is ${version}, not Node 24: run npm ci`
  return undefined
}
