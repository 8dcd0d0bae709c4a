import { readFileSync } from 'node:fs'
import type { Tree } from './tree.ts'

const typeBits = { directory: 0o040000, file: 0o100000, link: 0o120000 } as const

/** The tree as a cpio archive of the "newc" form, which Linux takes as an initramfs. Every time stamp is 0. */
export function cpioArchive(tree: Tree): Buffer {
  const parts: Buffer[] = []
  let inode = 1
  const add = (name: string, mode: number, content: Buffer) => {
    // inode, mode, uid, gid, links, mtime, size, device and rdevice (major, minor), length of the name, checksum
    const fields = [inode++, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0]
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`
    parts.push(padded(Buffer.from(`${header}${name}\0`)), padded(content))
  }
  for (const [path, entry] of tree.entries()) {
    const name = path.slice(1)
    if (entry.type === 'directory') add(name, typeBits.directory | entry.mode, Buffer.alloc(0))
    else if (entry.type === 'link') add(name, typeBits.link | 0o777, Buffer.from(entry.target))
    else add(name, typeBits.file | entry.mode, readFileSync(entry.source))
  }
  add('TRAILER!!!', 0, Buffer.alloc(0))
  return Buffer.concat(parts)
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc(-content.length & 3)])
}
