/** What of an error may leave the house: its class, its code and where in our code it was thrown. */
import { fileURLToPath } from 'node:url'
import { isBerthError } from '../errors/index.ts'

export interface Frame {
  readonly function: string
  /** From the root of this repository, or of a package, or `node:…`. */
  readonly filename: string
  readonly lineno: number
  readonly colno: number
  /** Ours, not a library's. */
  readonly in_app: boolean
}

export interface BareError {
  readonly type: string
  readonly frames: readonly Frame[]
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const identifier = /^[\w.$<>#[\] ]{1,200}$/
const mostCauses = 5

/** An error and its causes, the innermost first, without any message: messages quote names, addresses and answers. */
export function bare(error: unknown): BareError[] {
  const chain: BareError[] = []
  for (let each = error; each instanceof Error && chain.length < mostCauses; each = each.cause) {
    const type = isBerthError(each) ? `BerthError ${each.code}` : each.constructor.name
    chain.unshift({ type: identifier.test(type) ? type : 'Error', frames: framesOf(each) })
  }
  return chain
}

/** The outermost call first. */
function framesOf({ stack = '', message }: Error): Frame[] {
  // After the message, which may look like a stack itself; where it was changed later, nobody knows where it ends.
  const begin = stack.indexOf(message)
  const calls = begin < 0 ? '' : stack.slice(begin + message.length)
  const frames = calls.split('\n').flatMap((line) => {
    const frame = frameOf(line)
    return frame === undefined ? [] : [frame]
  })
  return frames.toReversed()
}

function frameOf(line: string): Frame | undefined {
  const match = /^ {4}at (?:(.+) \()?((?:file:\/\/|node:|\/)[^()]+):(\d+):(\d+)\)?$/.exec(line)
  if (match === null) return undefined
  const [, called = '<anonymous>', place = '', row, column] = match
  const filename = fileOf(place)
  if (filename === undefined || !identifier.test(called)) return undefined
  const in_app = !filename.startsWith('node')
  return { function: called, filename, lineno: Number(row), colno: Number(column), in_app }
}

/** Without where on this machine it is; undefined: none of ours. */
function fileOf(place: string): string | undefined {
  if (place.startsWith('node:')) return place
  const path = place.startsWith('file:') ? fileURLToPath(place) : place
  const library = path.lastIndexOf('/node_modules/')
  if (library >= 0) return path.slice(library + 1)
  return path.startsWith(root) ? path.slice(root.length) : undefined
}
