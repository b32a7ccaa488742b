/*
 * Frames in and out, many per call. The memory is the stack's own (slabs, arenas): the kernel copies straight into it and
 * out of it. Numbers that describe it are checked here all the same, since a mistake would write outside.
 */
#include "port.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* device/device.ts: fields of a received frame's record, its flags. */
enum { RX_AT, RX_BYTES, RX_FLAGS, RX_SEGMENT_BYTES, RX_FIELDS };
enum { RX_CHECKSUM_VALID = 1, RX_CHECKSUM_PARTIAL = 2 };
/* stack/base/memory.ts: room for one maximal frame, its alignment included. */
#define FRAME_BYTES_MAX 65600
#define LINE 64
/* Receive errors that consume a frame, tolerated in one call. */
#define BAD_FRAMES_MAX 16

/* stack/base/tx-queue.ts: a record's fields, its flags, its pieces. */
enum { TX_PIECES, TX_FLAGS, TX_SEGMENT_BYTES, TX_CHECKSUM_START, TX_CHECKSUM_FIELD, TX_HEADER_BYTES, TX_BYTES, TX_FIXED };
enum { TX_CHECKSUM_PARTIAL = 1, TX_SEGMENT = 2 };
enum { PIECE_ARENA, PIECE_AT, PIECE_BYTES, PIECE_FIELDS };
#define PIECES_MAX 40

#define TCP_FLAGS_AT 13
#define TCP_CWR 0x80
#define TCP_CHECKSUM_AT 16

static bool bytes_of(napi_env env, napi_value value, napi_typedarray_type wanted, void **data, size_t *length) {
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) == napi_ok && type == wanted) return true;
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "not the typed array that was expected");
  return false;
}

/* addArena(port, Uint8Array): its number is the count of those added before. */
napi_value add_arena(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct arena arena;
  void *data;
  if (!get_args(env, info, 2, args)) return NULL;
  struct port *port = port_of(env, args[0]);
  if (port == NULL || port->closed || !bytes_of(env, args[1], napi_uint8_array, &data, &arena.bytes)) return NULL;
  arena.data = data;
  if (port->arena_count == port->arena_capacity) {
    uint32_t capacity = port->arena_capacity == 0 ? 16 : port->arena_capacity * 2;
    struct arena *grown = realloc(port->arenas, capacity * sizeof *grown);
    if (grown == NULL) return throw_errno(env, ENOMEM, "realloc");
    port->arenas = grown;
    port->arena_capacity = capacity;
  }
  if (napi_create_reference(env, args[1], 1, &arena.ref) == napi_ok) port->arenas[port->arena_count++] = arena;
  return NULL;
}

/* dropArenas(port): another stack's arenas follow. */
napi_value drop_arenas(napi_env env, napi_callback_info info) {
  napi_value args[1];
  if (!get_args(env, info, 1, args)) return NULL;
  struct port *port = port_of(env, args[0]);
  if (port == NULL || port->closed) return NULL;
  for (uint32_t i = 0; i < port->arena_count; i++) napi_delete_reference(env, port->arenas[i].ref);
  port->arena_count = 0;
  return NULL;
}

static void read_vnet(const struct virtio_net_hdr *vnet, int32_t *record) {
  record[RX_FLAGS] = 0;
  if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) record[RX_FLAGS] = RX_CHECKSUM_VALID | RX_CHECKSUM_PARTIAL;
  else if (vnet->flags & VIRTIO_NET_HDR_F_DATA_VALID) record[RX_FLAGS] = RX_CHECKSUM_VALID;
  record[RX_SEGMENT_BYTES] = vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE ? 0 : vnet->gso_size;
}

/* One frame from a TUN or TAP queue at `to`. Returns its bytes, or -1 with errno. */
static ssize_t read_tun(const struct port *port, uint8_t *to, size_t room, int32_t *record) {
  struct virtio_net_hdr_mrg_rxbuf vnet;
  struct iovec iov[2] = {{&vnet, port->vnet_bytes}, {to, room}};
  if (port->vnet_bytes == 0) {
    record[RX_FLAGS] = 0;
    record[RX_SEGMENT_BYTES] = 0;
    return readv(port->fd, iov + 1, 1);
  }
  ssize_t got = readv(port->fd, iov, 2);
  if (got < 0) return -1;
  read_vnet(&vnet.hdr, record);
  return got > port->vnet_bytes ? got - port->vnet_bytes : 0;
}

/* The kernel strips VLAN tags off the frame into `aux`. Four bytes are free before `frame`; puts the tag back. */
static int restore_vlan(uint8_t *frame, const struct tpacket_auxdata *aux) {
  uint16_t type = aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid : ETH_P_8021Q;
  memmove(frame - 4, frame, 2 * ETH_ALEN);
  frame[8] = type >> 8;
  frame[9] = type & 0xff;
  frame[10] = aux->tp_vlan_tci >> 8;
  frame[11] = aux->tp_vlan_tci & 0xff;
  return 4;
}

/* The same from a packet socket. `*back` is how far before `to` the frame begins. -1 with errno 0: nothing for us. */
static ssize_t read_packet(const struct port *port, uint8_t *to, size_t room, int32_t *record, int *back) {
  struct virtio_net_hdr vnet;
  struct sockaddr_ll from;
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
  } control;
  struct iovec iov[2] = {{&vnet, sizeof vnet}, {to, room}};
  int skip = port->vnet_bytes == 0;
  struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = iov + skip, .msg_iovlen = 2 - skip,
                           .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t got = recvmsg(port->fd, &message, MSG_DONTWAIT);
  if (got < 0) return -1;
  got -= port->vnet_bytes;
  /* Our own, on a kernel that cannot leave them out; or longer than any frame. */
  if (from.sll_pkttype == PACKET_OUTGOING || (message.msg_flags & MSG_TRUNC) || got < ETH_HLEN) {
    errno = 0;
    return -1;
  }
  record[RX_FLAGS] = 0;
  record[RX_SEGMENT_BYTES] = 0;
  if (!skip) read_vnet(&vnet, record);
  *back = 0;
  struct cmsghdr *c = CMSG_FIRSTHDR(&message);
  if (c != NULL && c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA) {
    struct tpacket_auxdata aux;
    memcpy(&aux, CMSG_DATA(c), sizeof aux);
    if (aux.tp_status & TP_STATUS_CSUM_VALID) record[RX_FLAGS] |= RX_CHECKSUM_VALID;
    if (aux.tp_status & TP_STATUS_CSUMNOTREADY) record[RX_FLAGS] |= RX_CHECKSUM_VALID | RX_CHECKSUM_PARTIAL;
    if (aux.tp_status & TP_STATUS_VLAN_VALID) *back = restore_vlan(to, &aux);
  }
  return got + *back;
}

/* receive(port, slab: Uint8Array, fill, records: Int32Array): frames read, or a negative errno when none could be. */
napi_value receive(napi_env env, napi_callback_info info) {
  napi_value args[4], result;
  void *slab, *list;
  size_t slab_bytes, list_length;
  int64_t fill;
  if (!get_args(env, info, 4, args)) return NULL;
  struct port *port = port_of(env, args[0]);
  if (port == NULL || port->closed || !bytes_of(env, args[1], napi_uint8_array, &slab, &slab_bytes) ||
      napi_get_value_int64(env, args[2], &fill) != napi_ok || fill < 0 ||
      !bytes_of(env, args[3], napi_int32_array, &list, &list_length)) {
    return NULL;
  }
  int32_t frames = 0, frames_max = (int32_t)(list_length / RX_FIELDS), bad = 0, failed = 0;
  /* IP begins on a 4-byte boundary; before a packet socket's frame there is room for a VLAN tag besides. */
  size_t lead = port->ip_link ? 0 : port->kind == KIND_PACKET ? 6 : 2;
  size_t at = ((size_t)fill + LINE - 1) & ~(size_t)(LINE - 1);
  double total = 0;
  while (frames < frames_max && at + FRAME_BYTES_MAX <= slab_bytes) {
    int32_t *record = (int32_t *)list + frames * RX_FIELDS;
    uint8_t *to = (uint8_t *)slab + at + lead;
    int back = 0;
    ssize_t got = port->kind == KIND_PACKET ? read_packet(port, to, FRAME_BYTES_MAX - lead, record, &back)
                                            : read_tun(port, to, FRAME_BYTES_MAX - lead, record);
    if (got <= 0) {
      if (got < 0 && errno == EAGAIN) break;
      if (got < 0 && errno == EINTR) continue;
      /* EINVAL: the kernel could not describe a frame and has dropped it. ENETDOWN is told once. */
      if (got < 0 && errno != 0 && errno != EINVAL && errno != ENETDOWN) failed = errno;
      if (failed != 0 || ++bad == BAD_FRAMES_MAX) break;
      continue;
    }
    record[RX_AT] = (int32_t)(at + lead - back);
    record[RX_BYTES] = (int32_t)got;
    at = (at + lead - back + (size_t)got + LINE - 1) & ~(size_t)(LINE - 1);
    total += (double)got;
    frames++;
  }
  port->counters[RX_FRAMES] += frames;
  port->counters[RX_BYTES_TOTAL] += total;
  napi_create_int32(env, frames > 0 ? frames : -failed, &result);
  return result;
}

/* What the kernel is to do with a frame. False: this device cannot. */
static bool write_vnet(const struct port *port, const int32_t *record, const struct iovec *headers,
                       struct virtio_net_hdr *vnet) {
  int32_t flags = record[TX_FLAGS];
  memset(vnet, 0, sizeof *vnet);
  if (flags == 0) return true;
  if (port->vnet_bytes == 0 || !(port->offload & TUN_F_CSUM) || !(flags & TX_CHECKSUM_PARTIAL)) return false;
  size_t start = (size_t)record[TX_CHECKSUM_START];
  vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
  vnet->csum_start = (uint16_t)start;
  vnet->csum_offset = (uint16_t)record[TX_CHECKSUM_FIELD];
  if (!(flags & TX_SEGMENT) || record[TX_BYTES] - record[TX_HEADER_BYTES] <= record[TX_SEGMENT_BYTES]) return true;
  size_t ip_at = port->ip_link ? 0 : ETH_HLEN;
  if (headers->iov_len <= start + TCP_FLAGS_AT || headers->iov_len <= ip_at || record[TX_SEGMENT_BYTES] <= 0 ||
      record[TX_CHECKSUM_FIELD] != TCP_CHECKSUM_AT) {
    return false;
  }
  const uint8_t *bytes = headers->iov_base;
  bool v6 = bytes[ip_at] >> 4 == 6;
  if (!(port->offload & (v6 ? TUN_F_TSO6 : TUN_F_TSO4))) return false;
  vnet->gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
  /* RFC 3168 §6.1.2: only the first segment may carry CWR, and the kernel sees to it when it is told. */
  if (bytes[start + TCP_FLAGS_AT] & TCP_CWR) vnet->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
  vnet->hdr_len = (uint16_t)record[TX_HEADER_BYTES];
  vnet->gso_size = (uint16_t)record[TX_SEGMENT_BYTES];
  return true;
}

/* Fills `iov` from a record's pieces. Returns their number, or 0 when the record points outside of its arenas. */
static int gather(const struct port *port, const int32_t *record, struct iovec *iov) {
  int pieces = record[TX_PIECES];
  for (int i = 0; i < pieces; i++) {
    const int32_t *piece = record + TX_FIXED + i * PIECE_FIELDS;
    uint32_t arena = (uint32_t)piece[PIECE_ARENA], at = (uint32_t)piece[PIECE_AT], bytes = (uint32_t)piece[PIECE_BYTES];
    if (arena >= port->arena_count || (uint64_t)at + bytes > port->arenas[arena].bytes) return 0;
    iov[i].iov_base = port->arenas[arena].data + at;
    iov[i].iov_len = bytes;
  }
  return pieces;
}

/* One frame out. 0, or errno. */
static int write_frame(const struct port *port, const int32_t *record) {
  struct virtio_net_hdr_mrg_rxbuf vnet;
  struct iovec iov[1 + PIECES_MAX];
  int pieces = gather(port, record, iov + 1);
  if (pieces == 0 || !write_vnet(port, record, iov + 1, &vnet.hdr)) return EINVAL;
  vnet.num_buffers = 0;
  iov[0].iov_base = &vnet;
  iov[0].iov_len = port->vnet_bytes;
  int skip = port->vnet_bytes == 0;
  for (;;) {
    if (writev(port->fd, iov + skip, pieces + 1 - skip) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

/* transmit(port, records: Int32Array, first, frames): how many the device took, refused and lost ones included. */
napi_value transmit(napi_env env, napi_callback_info info) {
  napi_value args[4], result;
  void *list;
  size_t length;
  uint32_t first;
  int32_t frames;
  if (!get_args(env, info, 4, args)) return NULL;
  struct port *port = port_of(env, args[0]);
  if (port == NULL || port->closed || !bytes_of(env, args[1], napi_int32_array, &list, &length) ||
      napi_get_value_uint32(env, args[2], &first) != napi_ok || napi_get_value_int32(env, args[3], &frames) != napi_ok) {
    return NULL;
  }
  int32_t taken = 0;
  size_t at = first;
  double total = 0, sent = 0, errors = 0;
  for (; taken < frames; taken++) {
    const int32_t *record = (const int32_t *)list + at;
    if (at + TX_FIXED > length || record[TX_PIECES] < 1 || record[TX_PIECES] > PIECES_MAX) break;
    size_t next = at + TX_FIXED + (size_t)record[TX_PIECES] * PIECE_FIELDS;
    if (next > length) break;
    int error = write_frame(port, record);
    if (error == EAGAIN) {
      port->wants_room = true;
      port_watch(port);
      break;
    }
    if (error == 0) {
      sent++;
      total += record[TX_BYTES];
    } else {
      errors++;
    }
    at = next;
  }
  port->counters[TX_FRAMES] += sent;
  port->counters[TX_BYTES_TOTAL] += total;
  port->counters[TX_ERRORS] += errors;
  napi_create_int32(env, taken, &result);
  return result;
}
