import { execFileSync } from 'node:child_process'

/** The first Go that compiles go.mod of the control plane. */
const required = { major: 1, minor: 25 }

/**
 * Why this Go can't build the control plane, or undefined when it can.
 * @param {string | undefined} version what `go env GOVERSION` says, such as go1.26.8; undefined without a Go
 */
export function goProblem(version) {
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(version ?? '') ?? []
  const enough =
    major !== undefined &&
    (Number(major) > required.major || (Number(major) === required.major && Number(minor) >= required.minor))
  if (enough) return undefined
  return (
    `Go ${required.major}.${required.minor} or newer is needed on the PATH to build the control plane; ` +
    `${version ? `this one is ${version}` : 'there is none'}. Debian's own (golang-go) may be too old: ` +
    'take it from backports or from the Go project.'
  )
}

/** @returns {string | undefined} */
export function goVersion() {
  try {
    return execFileSync('go', ['env', 'GOVERSION'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return undefined
  }
}
