import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { XapiError } from '../errors.ts'
import { type ClassName, classes, classOf, type RecordOf } from '../model/model.ts'
import { nullReference, type Value } from '../model/types.ts'
import { relations } from './relations.ts'

type Fields = Readonly<Record<string, Value>>

export interface Row {
  readonly reference: string
  readonly fields: Fields
  /** The generations in which it was made and last changed. */
  readonly created: number
  readonly modified: number
}

/** What is remembered of an object that is gone. */
export interface DeletedRow {
  readonly className: ClassName
  readonly reference: string
  readonly created: number
  readonly deleted: number
}

/** Computes the fields of an object that follow from the others, such as `allowed_operations`. */
export type Derive = (className: ClassName, reference: string, fields: Fields) => Fields

/** How many deleted objects are remembered; an event token older than that is lost, as in xapi. */
const rememberedDeletions = 500

/**
 * The objects of a pool. Every change has a generation of its own; events are read from the generations. References
 * and the sets that mirror them are kept in step.
 */
export class Database {
  readonly #tables = new Map<ClassName, Map<string, Row>>([...classes.keys()].map((name) => [name, new Map()]))
  readonly #listeners = new Set<() => void>()
  readonly #derive: Derive
  #deleted: DeletedRow[] = []
  #generation = 1
  #oldestToken = 0

  constructor(derive: Derive = () => ({})) {
    this.#derive = derive
  }

  get generation(): number {
    return this.#generation
  }

  /** Event tokens below this are lost. */
  get oldestToken(): number {
    return this.#oldestToken
  }

  get deleted(): readonly DeletedRow[] {
    return this.#deleted
  }

  /** Calls back after every change; the answer ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Makes an object. What is not said has the value that the data model gives it.
   * @returns the reference
   */
  create<C extends ClassName>(className: C, values: Partial<RecordOf<C>>, reference = newReference()): string {
    const empty = [...classOf(className).fields].map(([name, field]) => [name, field.empty])
    const fields = { ...Object.fromEntries(empty), uuid: randomUUID(), ...values }
    const generation = ++this.#generation
    this.#table(className).set(reference, {
      reference,
      fields: { ...fields, ...this.#derive(className, reference, fields) },
      created: generation,
      modified: generation,
    })
    for (const relation of relations) {
      if (relation.from === className) this.#link(relation.to, relation.members, fields[relation.field], reference)
    }
    this.#notify()
    return reference
  }

  /** @throws HANDLE_INVALID */
  get<C extends ClassName>(className: C, reference: string): RecordOf<C> {
    return this.row(className, reference).fields as RecordOf<C>
  }

  find<C extends ClassName>(className: C, reference: string): RecordOf<C> | undefined {
    return this.#table(className).get(reference)?.fields as RecordOf<C> | undefined
  }

  /** @throws HANDLE_INVALID */
  row(className: ClassName, reference: string): Row {
    const row = this.#table(className).get(reference)
    if (row === undefined) throw new XapiError('HANDLE_INVALID', className, reference)
    return row
  }

  rows(className: ClassName): readonly Row[] {
    return [...this.#table(className).values()]
  }

  all<C extends ClassName>(className: C): readonly (readonly [reference: string, record: RecordOf<C>])[] {
    return this.rows(className).map((row) => [row.reference, row.fields as RecordOf<C>])
  }

  /** @throws HANDLE_INVALID */
  update<C extends ClassName>(className: C, reference: string, patch: Partial<RecordOf<C>>): void {
    const row = this.row(className, reference)
    const said = { ...row.fields, ...(patch as Fields) }
    const fields = { ...said, ...this.#derive(className, reference, said) }
    if (isDeepStrictEqual(fields, row.fields)) return
    this.#replace(className, row, fields)
    for (const relation of relations) {
      if (relation.from !== className || fields[relation.field] === row.fields[relation.field]) continue
      this.#unlink(relation.to, relation.members, row.fields[relation.field], reference)
      this.#link(relation.to, relation.members, fields[relation.field], reference)
    }
    this.#notify()
  }

  /** Computes again what follows from the other fields; nothing happens if the object is gone. */
  refresh(className: ClassName, reference: string): void {
    if (this.find(className, reference) !== undefined) this.update(className, reference, {})
  }

  /** Makes an event of a change though nothing changed. @throws HANDLE_INVALID */
  touch(className: ClassName, reference: string): void {
    const row = this.row(className, reference)
    this.#replace(className, row, row.fields)
    this.#notify()
  }

  /** @throws HANDLE_INVALID */
  remove(className: ClassName, reference: string): void {
    const row = this.row(className, reference)
    this.#table(className).delete(reference)
    this.#deleted.push({ className, reference, created: row.created, deleted: ++this.#generation })
    if (this.#deleted.length > rememberedDeletions) {
      const forgotten = this.#deleted.shift()
      this.#oldestToken = forgotten?.deleted ?? this.#oldestToken
    }
    for (const relation of relations) {
      if (relation.from === className) {
        this.#unlink(relation.to, relation.members, row.fields[relation.field], reference)
      }
    }
    this.#notify()
  }

  /** Forgets what was deleted, so that every event token given until now is lost. */
  forgetDeletions(): void {
    this.#deleted = []
    this.#oldestToken = ++this.#generation
    this.#notify()
  }

  #table(className: ClassName): Map<string, Row> {
    const table = this.#tables.get(className)
    if (table === undefined) throw new Error(`There is no class ${className}.`)
    return table
  }

  #replace(className: ClassName, row: Row, fields: Fields): void {
    this.#table(className).set(row.reference, { ...row, fields, modified: ++this.#generation })
  }

  #link(className: ClassName, members: string, target: Value | undefined, reference: string): void {
    this.#changeMembers(className, members, target, (list) => [...list, reference])
  }

  #unlink(className: ClassName, members: string, target: Value | undefined, reference: string): void {
    this.#changeMembers(className, members, target, (list) => list.filter((member) => member !== reference))
  }

  #changeMembers(
    className: ClassName,
    members: string,
    target: Value | undefined,
    change: (list: readonly Value[]) => readonly Value[],
  ): void {
    if (typeof target !== 'string' || target === nullReference) return
    const row = this.#table(className).get(target)
    if (row === undefined) return
    const list = row.fields[members]
    const said = { ...row.fields, [members]: change(Array.isArray(list) ? list : []) }
    this.#replace(className, row, { ...said, ...this.#derive(className, target, said) })
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}

export function newReference(): string {
  return `OpaqueRef:${randomUUID()}`
}
