export interface DSN {
  readonly key: string
  /** Where envelopes are taken. */
  readonly endpoint: string
}

/** What Sentry's DSN (`https://KEY@HOST/PROJECT`) says. Throws an Error that does not quote it. */
export function parseDSN(dsn: string): DSN {
  const match = /^(https?):\/\/([0-9a-zA-Z]+)@([^/@?#]+)((?:\/[^/@?#]+)*)\/(\d+)$/.exec(dsn)
  if (match === null) throw new Error('must be a DSN: https://KEY@HOST/PROJECT')
  const [, scheme, key = '', host, path, project] = match
  return { key, endpoint: `${scheme}://${host}${path}/api/${project}/envelope/` }
}
