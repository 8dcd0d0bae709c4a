/** Response headers as undici gives them: names in lower case. */
export type Headers = Record<string, string | string[] | undefined>

export function header(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

export interface ContentRange {
  readonly start: number
  readonly end: number
  readonly total: number | undefined
}

/** Undefined: absent or not understood. `end` is inclusive, as in the header. */
export function contentRange(headers: Headers): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header(headers, 'content-range')?.trim() ?? '')
  if (!match) return undefined
  const range = {
    start: Number(match[1]),
    end: Number(match[2]),
    total: match[3] === '*' ? undefined : Number(match[3]),
  }
  if (range.end < range.start || (range.total !== undefined && range.end >= range.total)) return undefined
  return range
}

export function contentLength(headers: Headers): number | undefined {
  const value = header(headers, 'content-length')
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined
}

/**
 * What If-Range may carry: a strong entity tag, else a Last-Modified that is strong because the answer is at least one
 * second younger (RFC 9110, 8.8.2.2). Undefined: the file cannot be resumed safely.
 */
export function validator(headers: Headers): string | undefined {
  const tag = header(headers, 'etag')
  if (tag !== undefined && /^"[^"]*"$/.test(tag)) return tag
  const modified = header(headers, 'last-modified')
  const date = header(headers, 'date')
  if (modified === undefined || date === undefined) return undefined
  return Date.parse(date) - Date.parse(modified) >= 1000 ? modified : undefined
}
