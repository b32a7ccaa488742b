/**
 * Numbers of the capture file formats: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).
 * Shared by the writer and the parser.
 */

/** LINKTYPE_ values that the decoder understands. */
export const LINK_NULL = 0;
export const LINK_ETHERNET = 1;
export const LINK_RAW_BSD = 12;
export const LINK_RAW_OPENBSD = 14;
export const LINK_RAW = 101;
export const LINK_LOOP = 108;
export const LINK_LINUX_SLL = 113;
export const LINK_IPV4 = 228;
export const LINK_IPV6 = 229;
export const LINK_LINUX_SLL2 = 276;

/** Block types of pcapng. */
export const BLOCK_SECTION = 0x0a0d0d0a;
export const BLOCK_INTERFACE = 1;
export const BLOCK_PACKET_OBSOLETE = 2;
export const BLOCK_SIMPLE_PACKET = 3;
export const BLOCK_NAMES = 4;
export const BLOCK_STATISTICS = 5;
export const BLOCK_PACKET = 6;
export const BLOCK_SECRETS = 0x0a;

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** Type and both lengths: what every block has. */
export const BLOCK_FRAMING_BYTES = 12;

/** Options of every block. */
export const OPT_END = 0;
export const OPT_COMMENT = 1;
/** Options of one kind of block each; numbers repeat between kinds. */
export const SHB_APPLICATION = 4;
export const IF_NAME = 2;
export const IF_DESCRIPTION = 3;
export const IF_MAC = 6;
export const IF_TSRESOL = 9;
export const IF_TSOFFSET = 14;
export const EPB_FLAGS = 2;
export const ISB_STARTTIME = 2;
export const ISB_ENDTIME = 3;
export const ISB_IFRECV = 4;
export const ISB_IFDROP = 5;
export const ISB_OSDROP = 7;
export const ISB_USRDELIV = 8;

/** Record types of a name resolution block. */
export const NRB_END = 0;
export const NRB_IPV4 = 1;
export const NRB_IPV6 = 2;

/** 'TLSK': the secrets are an NSS key log. */
export const SECRETS_TLS_KEY_LOG = 0x544c534b;

/** Which way a frame went, as `epb_flags` says it (its two lowest bits). */
export const DIRECTION_UNKNOWN = 0;
export const DIRECTION_INBOUND = 1;
export const DIRECTION_OUTBOUND = 2;
