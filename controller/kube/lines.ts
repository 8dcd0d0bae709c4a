/** Longer than any watch event is; more is no watch. */
const longest = 16 * 1024 * 1024

/** The complete lines of a stream. What comes after the last newline was cut, and is dropped. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer[] = []
  let length = 0
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      rest.push(chunk.subarray(from, end))
      yield Buffer.concat(rest).toString('utf8')
      rest = []
      length = 0
      from = end + 1
    }
    rest.push(chunk.subarray(from))
    length += chunk.length - from
    if (length > longest) throw new Error('A line of the watch is too long.')
  }
}
