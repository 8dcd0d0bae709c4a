// Makes package-lock.json the same whichever registry wrote it. Run after every `npm install` that changes a dependency.
//  - Registry addresses go: name, version and integrity pin a package, and which registry serves it is the business
//    of the machine's own npm configuration.
//  - Optional packages for other platforms that the registry at hand does not carry are completed from what their
//    parent declares, since `npm ci` refuses a lock without them, though it would never install them here.
import { readFileSync, writeFileSync } from 'node:fs'

const file = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(file, 'utf8'))
for (const entry of Object.values(lock.packages)) {
  if (/^https?:/.test(entry.resolved ?? '')) delete entry.resolved
}
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`
    const platform =
      /-(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|wasm32|win32)-([a-z0-9]+)/.exec(name)
    if (lock.packages[path] || !platform || !/^\d/.test(version)) continue
    lock.packages[path] = { version, cpu: [platform[2]], dev: true, optional: true, os: [platform[1]] }
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
