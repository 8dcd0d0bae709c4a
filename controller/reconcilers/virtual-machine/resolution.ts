import type { Problem } from './model.ts'

/** What a field of the spec means, or why that cannot be said. */
export type Resolution<T> = { readonly value: T } | { readonly problem: Problem }

export const problem = (code: Problem['code'], message: string) => ({ problem: { code, message } })
