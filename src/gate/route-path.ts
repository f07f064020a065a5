const unreserved = /^[A-Za-z0-9._~-]$/
/** Reads as a dot segment to some servers and not to others: `..%2F`, `..;`, `%5C..`. */
const halfDotSegment = /(?:^|%2F|%5C)\.{1,2}(?:;|%2F|%5C|$)/

/**
 * The path by which a request is routed. The bytes that are forwarded stay as they came; this is only what the routes
 * are compared with, so that no spelling of a path gets round a prefix:
 *
 * - percent-encoded unreserved characters are decoded, other triplets get upper-case digits (RFC 3986, 6.2.2);
 * - dot segments are removed (RFC 3986, 5.2.4), those above the root included;
 * - slashes in a row count as one.
 *
 * @param path starts with a slash, has no query
 * @returns undefined where servers disagree about what the path means, which is refused: a backslash, a dot segment
 * behind an encoded slash or before a semicolon, and `..` after an empty segment
 */
export function routePath(path: string): string | undefined {
  if (path.includes('\\')) return undefined
  const decoded = path.replace(/%[0-9A-Fa-f]{2}/g, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16))
    return unreserved.test(character) ? character : triplet.toUpperCase()
  })
  const segments = decoded.split('/')
  const last = segments.length - 1
  const kept: string[] = []
  let sawEmpty = false
  for (let index = 1; index <= last; index++) {
    const segment = segments[index] ?? ''
    if (segment === '') {
      sawEmpty ||= index < last
    } else if (segment === '..') {
      if (sawEmpty) return undefined
      kept.pop()
    } else if (segment !== '.') {
      if (halfDotSegment.test(segment)) return undefined
      kept.push(segment)
    }
  }
  const end = segments[last] ?? ''
  const open = end === '' || end === '.' || end === '..'
  if (kept.length === 0) return '/'
  return `/${kept.join('/')}${open ? '/' : ''}`
}
