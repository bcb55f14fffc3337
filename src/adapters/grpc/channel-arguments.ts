import { nearestName } from '../../core/option-check.ts'

/** Channel arguments that a client of `@grpc/grpc-js` acts on. */
const KNOWN = [
  'grpc.ssl_target_name_override', 'grpc.primary_user_agent', 'grpc.secondary_user_agent', 'grpc.default_authority',
  'grpc.keepalive_time_ms', 'grpc.keepalive_timeout_ms', 'grpc.keepalive_permit_without_calls', 'grpc.service_config',
  'grpc.initial_reconnect_backoff_ms', 'grpc.max_reconnect_backoff_ms', 'grpc.use_local_subchannel_pool',
  'grpc.max_send_message_length', 'grpc.max_receive_message_length', 'grpc.enable_http_proxy',
  'grpc.http_connect_target', 'grpc.http_connect_creds', 'grpc.default_compression_algorithm', 'grpc.enable_channelz',
  'grpc.dns_min_time_between_resolutions_ms', 'grpc.enable_retries', 'grpc.per_rpc_retry_buffer_size',
  'grpc.retry_buffer_size', 'grpc.service_config_disable_resolution', 'grpc.client_idle_timeout_ms',
  'grpc.lb.ring_hash.ring_size_cap', 'grpc-node.max_session_memory', 'grpc-node.tls_enable_trace',
  'grpc-node.retry_max_attempts_limit', 'grpc-node.flow_control_window',
] // prettier-ignore

/** Arguments that the driver knows for servers only. */
const SERVER_ONLY: ReadonlySet<string> = new Set([
  'grpc.max_concurrent_streams', 'grpc.max_connection_age_ms', 'grpc.max_connection_age_grace_ms',
  'grpc.max_connection_idle_ms', 'grpc.server_call_metric_recording',
]) // prettier-ignore

/** Arguments of gRPC's C core (Python, C++, Ruby, PHP) that are often copied; `@grpc/grpc-js` ignores them. */
const C_CORE_ONLY: Readonly<Record<string, string>> = {
  'grpc.http2.min_time_between_pings_ms': 'use `grpc.keepalive_time_ms`',
  'grpc.http2.max_pings_without_data': 'use `grpc.keepalive_permit_without_calls`',
  'grpc.http2.min_ping_interval_without_data_ms': 'it is for servers',
  'grpc.http2.max_ping_strikes': 'it is for servers',
  'grpc.lb_policy_name': 'name the policy in `grpc.service_config`',
  'grpc.max_connection_pool': 'use `maxChannels`',
  'grpc.min_reconnect_backoff_ms': 'use `grpc.initial_reconnect_backoff_ms`',
  'grpc.so_reuseport': 'it is for servers',
}

/** Servers of all languages end a connection that is pinged more often, unless they are told otherwise. */
const SERVERS_LEAST_PING_MILLIS = 300_000
/** gRPC's C core takes no less. */
const LEAST_PING_MILLIS = 10_000

/**
 * What is wrong with channel arguments that the driver takes without a word. It changes nothing: the driver gets what
 * was given.
 */
export function doubtsAbout(given: Readonly<Record<string, unknown>>): string[] {
  return [...Object.keys(given).flatMap(doubtAboutName), ...doubtsAboutSizes(given), ...doubtsAboutKeepAlive(given)]
}

function doubtAboutName(name: string): string[] {
  if (!/^grpc(-node)?\./.test(name) || KNOWN.includes(name)) return []
  if (SERVER_ONLY.has(name)) return [`\`${name}\` is for servers; a client ignores it`]
  const instead = C_CORE_ONLY[name]
  if (instead !== undefined) return [`\`${name}\` is of gRPC's C core; @grpc/grpc-js ignores it: ${instead}`]
  const nearest = nearestName(name, KNOWN)
  const hint = nearest === undefined ? '' : `; did you mean \`${nearest}\`?`
  return [`unknown channel argument \`${name}\`, which @grpc/grpc-js takes without a word${hint}`]
}

function doubtsAboutSizes(given: Readonly<Record<string, unknown>>): string[] {
  return ['grpc.max_receive_message_length', 'grpc.max_send_message_length']
    .filter((name) => given[name] === -1)
    .map((name) => `\`${name}: -1\` is no limit: one message can take all memory; give the most bytes that you expect`)
}

function doubtsAboutKeepAlive(given: Readonly<Record<string, unknown>>): string[] {
  const doubts: string[] = []
  const permit = given['grpc.keepalive_permit_without_calls']
  if (permit !== undefined && permit !== 0 && permit !== 1) {
    doubts.push(
      `\`grpc.keepalive_permit_without_calls\` must be the number 1 or 0; @grpc/grpc-js takes anything else for 0`,
    )
  }
  const millis = given['grpc.keepalive_time_ms']
  if (typeof millis !== 'number') {
    if (permit === 1) doubts.push('`grpc.keepalive_permit_without_calls` does nothing without `grpc.keepalive_time_ms`')
    return doubts
  }
  if (millis < LEAST_PING_MILLIS) {
    doubts.push(`\`grpc.keepalive_time_ms: ${millis}\` pings more often than gRPC allows; give at least 10000`)
  } else if (millis < SERVERS_LEAST_PING_MILLIS) {
    const when = permit === 1 ? 'also without calls' : 'while calls are under way'
    doubts.push(
      `\`grpc.keepalive_time_ms: ${millis}\` pings ${when}, more often than servers allow by default (300000): they end ` +
        'the connection (GOAWAY, too_many_pings) unless they are told to allow it',
    )
  }
  return doubts
}
