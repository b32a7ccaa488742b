/* A packet socket bound to an existing interface. */
#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

/* device/native.ts: bits of openPacket's `wishes`. */
enum { WISH_OFFLOAD = 1, WISH_PROMISCUOUS = 4 };
/* A burst of segments must fit while the program is busy. */
#define RECEIVE_BUFFER_BYTES (8 << 20)

static napi_value fail(struct port *port, int error, const char *syscall) {
  napi_env env = port->env;
  port_discard(port);
  return throw_errno(env, error, syscall);
}

static bool set_option(int fd, int option, int value) {
  return setsockopt(fd, SOL_PACKET, option, &value, sizeof value) == 0;
}

static void enlarge(int fd) {
  int bytes = RECEIVE_BUFFER_BYTES;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
}

/* openPacket(name, wishes) */
napi_value open_packet(napi_env env, napi_callback_info info) {
  napi_value args[2];
  struct ifreq ifr = {0};
  size_t length;
  int32_t wishes;
  if (!get_args(env, info, 2, args) ||
      napi_get_value_string_utf8(env, args[0], ifr.ifr_name, sizeof ifr.ifr_name, &length) != napi_ok ||
      napi_get_value_int32(env, args[1], &wishes) != napi_ok) {
    return NULL;
  }
  struct port *port = port_new(env, KIND_PACKET);
  if (port == NULL) return NULL;
  memcpy(port->name, ifr.ifr_name, IFNAMSIZ);
  /* Protocol 0: nothing is received before the options are in force. */
  port->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (port->fd < 0) return fail(port, errno, "socket");
  if (ioctl(port->fd, SIOCGIFINDEX, &ifr) < 0) return fail(port, errno, "SIOCGIFINDEX");
  port->ifindex = (unsigned)ifr.ifr_ifindex;
  if (ioctl(port->fd, SIOCGIFHWADDR, &ifr) < 0) return fail(port, errno, "SIOCGIFHWADDR");
  if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER && ifr.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK) {
    return fail(port, EPROTONOSUPPORT, "SIOCGIFHWADDR");
  }
  set_option(port->fd, PACKET_IGNORE_OUTGOING, 1);
  set_option(port->fd, PACKET_AUXDATA, 1);
  if ((wishes & WISH_OFFLOAD) && set_option(port->fd, PACKET_VNET_HDR, 1)) {
    port->vnet_bytes = sizeof(struct virtio_net_hdr);
    port->offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  }
  enlarge(port->fd);
  if (wishes & WISH_PROMISCUOUS) {
    struct packet_mreq membership = {.mr_ifindex = (int)port->ifindex, .mr_type = PACKET_MR_PROMISC};
    if (setsockopt(port->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) < 0) {
      return fail(port, errno, "PACKET_ADD_MEMBERSHIP");
    }
  }
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)port->ifindex};
  if (bind(port->fd, (struct sockaddr *)&address, sizeof address) < 0) return fail(port, errno, "bind");
  return port_wrap(port);
}
