// A protocol of one's own: the first line is `USE queue`, and says where the connection belongs. What follows is between
// the client and its backend (lines.js). Used by frontend.js.

/** @type {import('baton').CustomProtocol} */
export const lineProtocol = {
  // Sees the first bytes of each connection, which stay unread: the backend gets this line, too.
  readHead(bytes) {
    const end = bytes.indexOf('\n')
    if (end < 0) return { kind: 'incomplete' }
    const queue = /^USE ([a-z0-9.]{1,64})\r?$/.exec(bytes.toString('latin1', 0, end))?.[1]
    if (queue === undefined) return { kind: 'bad', reason: 'the first line is not USE and a queue' }
    // Compared with `match.key` of the routes.
    return { kind: 'head', headBytes: end + 1, key: queue }
  },
  // The last words for a client that nobody serves.
  refuse: (code) => `ERR ${code}\r\n`,
}
