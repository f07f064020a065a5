import { Cluster, Redis } from 'ioredis'
import type { RedisTarget } from '../config/index.js'

export type RedisClient = Redis | Cluster

/** A command without an answer for so long has failed. */
export const COMMAND_TIMEOUT_MS = 1000

/** Quick at first, then once a second, spread a little so that a restarted Redis is not met by everybody at once. */
const retryDelayMs = (times: number) =>
  Math.min(25 * 2 ** Math.min(times, 6), 1000) * (0.8 + Math.random() * 0.4)

/**
 * A client that is not connected yet. Commands fail at once while there is no connection, and are never resent: what
 * must not be lost is queued by its owner, bounded.
 */
export function createRedisClient(target: RedisTarget): RedisClient {
  const { mode, nodes, username, password, db, master } = target
  const shared = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(target.tls ? { tls: {} } : {}),
    connectionName: 'baton',
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: 2000,
    keepAlive: 5000,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    // After a failover the old master may still answer; the new one is found by connecting again.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  }
  const own = { enableOfflineQueue: false, lazyConnect: true }
  if (mode === 'cluster') {
    return new Cluster([...nodes], { ...own, redisOptions: shared, clusterRetryStrategy: retryDelayMs })
  }
  const options = { ...shared, ...own, db, retryStrategy: retryDelayMs }
  if (mode === 'sentinel') {
    return new Redis({
      ...options,
      sentinels: [...nodes],
      name: master,
      enableTLSForSentinelMode: target.tls,
      sentinelRetryStrategy: retryDelayMs,
    })
  }
  const [node = { host: '127.0.0.1', port: 6379 }] = nodes
  return new Redis({ ...options, ...node })
}
