/**
 * Names of ICMP codes by version, type and number, as scripts and decoded packets have them: those of the packetdrill
 * language, then those of RFC 792, RFC 1812 §5.2.7 and RFC 4443 §3 with underscores.
 */
export const ICMP_CODES: Readonly<Record<4 | 6, Readonly<Record<number, readonly string[]>>>> = {
  4: {
    3: [
      'net_unreachable',
      'host_unreachable',
      'protocol_unreachable',
      'port_unreachable',
      'frag_needed',
      'source_route_failed',
      'net_unknown',
      'host_unknown',
      'source_host_isolated',
      'net_prohibited',
      'host_prohibited',
      'net_unreachable_for_tos',
      'host_unreachable_for_tos',
      'packet_filtered',
      'precedence_violation',
      'precedence_cutoff',
    ],
    5: ['net_redirect', 'host_redirect', 'net_redirect_for_tos', 'host_redirect_for_tos'],
    11: ['exceeded_ttl', 'exceeded_frag_time'],
  },
  6: {
    1: [
      'no_route',
      'admin_prohibited',
      'not_neighbour',
      'address_unreachable',
      'port_unreachable',
      'source_policy_failed',
      'reject_route',
    ],
    3: ['exceeded_hop_limit', 'exceeded_frag_time'],
    4: ['header_field', 'unknown_next_header', 'unknown_option'],
  },
};
