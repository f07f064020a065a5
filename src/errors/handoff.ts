import { defineErrors } from './define.js'

/** Codes of src/handoff. */
export const handoffErrors = defineErrors({
  BATON_FRAME_MALFORMED: {
    side: 'agent',
    retryable: false,
    summary: 'The peer sent a frame that is not in the wire format.',
    action: 'Run the same version of Baton on both hosts; the channel was closed and is dialled again.',
  },
  BATON_FRAME_SIZE: {
    side: 'agent',
    retryable: false,
    summary: 'The peer announced a frame over the cap of its type.',
    action: 'Run the same version of Baton on both hosts; the channel was closed and is dialled again.',
  },
  BATON_FRAME_VALUE: {
    side: 'frontend',
    retryable: true,
    summary: 'A message holds a value that the wire format has no room for.',
    action: 'The connection stays with its owner and is relayed; report the detail if it comes again.',
  },
  BATON_CHANNEL_AUTH: {
    side: 'operator',
    retryable: false,
    summary: 'The control channel has no usable authentication.',
    action: 'Give a token of at least 32 characters of [A-Za-z0-9._~+/=-], or certificate, key and CA.',
  },
  BATON_CHANNEL_UNAUTHORIZED: {
    side: 'operator',
    retryable: false,
    httpStatus: 401,
    summary: 'The agent does not accept this peer’s credentials.',
    action: 'Give frontend and agent the same token, or certificates of the same CA.',
  },
  BATON_CHANNEL_VERSION: {
    side: 'operator',
    retryable: false,
    httpStatus: 426,
    summary: 'The two sides have no protocol version in common.',
    action: 'Upgrade the older side; the detail names the versions that each side speaks.',
  },
  BATON_CHANNEL_REFUSED: {
    side: 'agent',
    retryable: true,
    summary: 'The agent’s control address answered, but did not open a channel.',
    action: 'Check that the address is that of an agent’s control listener; the detail is its answer.',
  },
  BATON_CHANNEL_CONNECT: {
    side: 'agent',
    retryable: true,
    summary: 'The agent’s control address cannot be reached.',
    action: 'Check that the agent runs and that no firewall is between; it is dialled again by itself.',
  },
  BATON_CHANNEL_TIMEOUT: {
    side: 'agent',
    retryable: true,
    summary: 'The peer of a control channel fell silent.',
    action: 'Check the peer host and the network; the channel is dialled again by itself.',
  },
  BATON_CHANNEL_CLOSED: {
    side: 'agent',
    retryable: true,
    summary: 'The control channel ended.',
    action: 'Nothing, if the other side was stopped; otherwise see its log.',
  },
  BATON_CHANNEL_REPLACED: {
    side: 'operator',
    retryable: true,
    summary: 'A newer channel of the same peer id took the place of this one.',
    action: 'Nothing after a reconnect; if it repeats, two processes run under one id: give each its own.',
  },
  BATON_CHANNEL_BACKLOG: {
    side: 'agent',
    retryable: true,
    summary: 'The peer does not read, and more waits for it than is held back.',
    action: 'Check the load of the peer; the channel was closed and is dialled again.',
  },
  BATON_HANDOFF_TRANSITION: {
    side: 'frontend',
    retryable: false,
    summary: 'A handoff met an event that its state does not allow.',
    action: 'Report it with the detail: it is a mistake in the program or in the peer.',
  },
  BATON_HANDOFF_NOT_SENT: {
    side: 'agent',
    retryable: true,
    summary: 'The offer never left this process: the channel was not up or not writable.',
    action: 'The connection stays here and goes to another backend or is relayed.',
  },
  BATON_HANDOFF_BUSY: {
    side: 'agent',
    retryable: true,
    summary: 'The taker has as many offers in hand as it takes at once, or takes none.',
    action: 'The connection goes elsewhere or is relayed; raise the taker’s capacity if it happens often.',
  },
  BATON_HANDOFF_EXPIRED: {
    side: 'agent',
    retryable: true,
    summary: 'The taker got to the offer after its time was over.',
    action: 'The connection goes elsewhere or is relayed; the taker is overloaded.',
  },
  BATON_HANDOFF_NEVER_SEEN: {
    side: 'agent',
    retryable: true,
    summary: 'The taker never got the offer, and now never will take it.',
    action: 'The connection goes elsewhere or is relayed.',
  },
  BATON_HANDOFF_LOST: {
    side: 'agent',
    retryable: false,
    summary: 'Nobody can say any more whether the taker adopted the connection.',
    action: 'The client is reset, since two owners would be worse; see why the agent went away.',
  },
  BATON_JOURNAL: {
    side: 'operator',
    retryable: false,
    summary: 'The outcome journal cannot be used.',
    action: 'Make its directory writable for the agent, best on a tmpfs such as /run/baton.',
  },
})
