/** A graph whose edges are appended node after node; each edge may carry an effect. */
export class Edges {
  #targets = new Int32Array(1 << 14)
  #heads = new Int32Array(1 << 12)
  #edges = 0
  #nodes = 0

  /** All edges of node `nodes` are told: the next ones belong to the node after it. */
  endNode(): void {
    this.#heads = grown(this.#heads, this.#nodes + 2)
    this.#heads[++this.#nodes] = this.#edges
  }

  add(target: number, hasEffect: boolean): void {
    this.#targets = grown(this.#targets, this.#edges + 1)
    this.#targets[this.#edges++] = target * 2 + (hasEffect ? 1 : 0)
  }

  /** An edge with an effect inside a cycle: something goes on for ever. Tarjan's components, without recursion. */
  findEffectInCycle(): { readonly from: number; readonly to: number } | undefined {
    const component = this.#components()
    for (let from = 0; from < this.#nodes; from++) {
      for (let edge = this.#head(from); edge < this.#head(from + 1); edge++) {
        const to = this.#target(edge)
        if ((this.#targets[edge] ?? 0) & 1 && component[from] === component[to]) return { from, to }
      }
    }
    return undefined
  }

  #head = (node: number): number => this.#heads[node] ?? 0
  #target = (edge: number): number => (this.#targets[edge] ?? 0) >> 1

  #components(): Int32Array {
    const size = this.#nodes
    const component = new Int32Array(size).fill(-1)
    const found = new Int32Array(size).fill(-1)
    const low = new Int32Array(size)
    const next = this.#heads.slice(0, size)
    const open: number[] = []
    const path: number[] = []
    let time = 0
    const enter = (node: number) => {
      found[node] = low[node] = time++
      open.push(node)
      path.push(node)
    }
    const lower = (node: number, to: number | undefined) => {
      low[node] = Math.min(low[node] ?? 0, to ?? 0)
    }
    /** Goes along the node's next edge that leads to one not met before; false: there is none. */
    const descend = (node: number): boolean => {
      while ((next[node] ?? 0) < this.#head(node + 1)) {
        const to = this.#target(next[node] ?? 0)
        next[node] = (next[node] ?? 0) + 1
        if ((found[to] ?? -1) < 0) {
          enter(to)
          return true
        }
        if ((component[to] ?? -1) < 0) lower(node, found[to])
      }
      return false
    }
    const leave = (node: number) => {
      path.pop()
      const parent = path.at(-1)
      if (parent !== undefined) lower(parent, low[node])
      if (low[node] !== found[node]) return
      let member: number | undefined
      do {
        member = open.pop()
        if (member !== undefined) component[member] = node
      } while (member !== node)
    }
    for (let root = 0; root < size; root++) {
      if ((found[root] ?? -1) >= 0) continue
      enter(root)
      for (let node = path.at(-1); node !== undefined; node = path.at(-1)) if (!descend(node)) leave(node)
    }
    return component
  }
}

function grown(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  if (length <= array.length) return array
  const larger = new Int32Array(Math.max(length, array.length * 2))
  larger.set(array)
  return larger
}
