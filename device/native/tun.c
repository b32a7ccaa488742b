/* TUN and TAP: a new queue of a new or existing interface, or a descriptor that another process opened. */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* device/native.ts: bits of openTun's and adoptTun's `wishes`. */
enum { WISH_OFFLOAD = 1, WISH_MULTI_QUEUE = 2 };

/*
 * Bits that TUNSETOFFLOAD knows, best first. UDP segmentation is left out on purpose: device/README.md has the figures.
 * Never try unknown bits: a newer kernel accepts them and then delivers what we cannot read.
 */
static const unsigned OFFLOADS[] = {TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
                                    TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, TUN_F_CSUM, 0};

static void negotiate(struct port *port, bool wanted) {
  int bytes = sizeof(struct virtio_net_hdr);
  if (ioctl(port->fd, TUNSETVNETHDRSZ, &bytes) == 0 || ioctl(port->fd, TUNGETVNETHDRSZ, &bytes) == 0) {
    port->vnet_bytes = bytes;
  } else {
    port->vnet_bytes = sizeof(struct virtio_net_hdr);
  }
  size_t i = wanted ? 0 : sizeof OFFLOADS / sizeof *OFFLOADS - 1;
  for (; i < sizeof OFFLOADS / sizeof *OFFLOADS; i++) {
    if (ioctl(port->fd, TUNSETOFFLOAD, (unsigned long)OFFLOADS[i]) == 0) {
      port->offload = OFFLOADS[i];
      return;
    }
  }
}

/* The header is one that we know how to build: 10 bytes, or 12 with a count of buffers. */
static bool vnet_known(const struct port *port) {
  return port->vnet_bytes == 0 || port->vnet_bytes == sizeof(struct virtio_net_hdr) ||
         port->vnet_bytes == sizeof(struct virtio_net_hdr_mrg_rxbuf);
}

static napi_value fail(struct port *port, int error, const char *syscall) {
  napi_env env = port->env;
  port_discard(port);
  return throw_errno(env, error, syscall);
}

static napi_value fail_text(struct port *port, int error, const char *syscall, const char *text) {
  napi_env env = port->env;
  port_discard(port);
  return throw_text(env, error, syscall, text);
}

/* openTun(name, tap: 0 | 1, wishes) */
napi_value open_tun(napi_env env, napi_callback_info info) {
  napi_value args[3];
  struct ifreq ifr = {0};
  size_t length;
  int32_t tap, wishes;
  if (!get_args(env, info, 3, args) ||
      napi_get_value_string_utf8(env, args[0], ifr.ifr_name, sizeof ifr.ifr_name, &length) != napi_ok ||
      napi_get_value_int32(env, args[1], &tap) != napi_ok || napi_get_value_int32(env, args[2], &wishes) != napi_ok) {
    return NULL;
  }
  struct port *port = port_new(env, tap ? KIND_TAP : KIND_TUN);
  if (port == NULL) return NULL;
  port->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (port->fd < 0) return fail(port, errno, "open");
  port->multi_queue = (wishes & WISH_MULTI_QUEUE) != 0;
  int flags = (tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI | (port->multi_queue ? IFF_MULTI_QUEUE : 0);
  bool vnet = (wishes & WISH_OFFLOAD) != 0;
  ifr.ifr_flags = (short)(flags | (vnet ? IFF_VNET_HDR : 0));
  if (ioctl(port->fd, TUNSETIFF, &ifr) < 0) return fail(port, errno, "TUNSETIFF");
  if (vnet) negotiate(port, true);
  if (!vnet_known(port)) return fail_text(port, ENOTSUP, "TUNSETVNETHDRSZ", "the virtio-net header has an unknown size");
  memcpy(port->name, ifr.ifr_name, IFNAMSIZ);
  port->ifindex = if_nametoindex(port->name);
  return port_wrap(port);
}

/* adoptTun(fd, tap: 0 | 1, wishes): on success the descriptor is the port's; on failure it stays the caller's. */
napi_value adopt_tun(napi_env env, napi_callback_info info) {
  napi_value args[3];
  struct ifreq ifr = {0};
  int32_t fd, tap, wishes;
  if (!get_args(env, info, 3, args) || napi_get_value_int32(env, args[0], &fd) != napi_ok ||
      napi_get_value_int32(env, args[1], &tap) != napi_ok || napi_get_value_int32(env, args[2], &wishes) != napi_ok) {
    return NULL;
  }
  if (ioctl(fd, TUNGETIFF, &ifr) < 0) return throw_errno(env, errno, "TUNGETIFF");
  if (!(ifr.ifr_flags & IFF_NO_PI)) {
    return throw_text(env, ENOTSUP, "TUNGETIFF", "the descriptor was opened without IFF_NO_PI");
  }
  if (((ifr.ifr_flags & IFF_TAP) != 0) != (tap != 0)) {
    return throw_text(env, EPROTOTYPE, "TUNGETIFF", tap ? "the descriptor is a TUN device" : "the descriptor is a TAP device");
  }
  struct port *port = port_new(env, tap ? KIND_TAP : KIND_TUN);
  if (port == NULL) return NULL;
  port->fd = fd;
  port->borrowed = true;
  port->multi_queue = (ifr.ifr_flags & IFF_MULTI_QUEUE) != 0;
  port->persistent = (ifr.ifr_flags & IFF_PERSIST) != 0;
  if (ifr.ifr_flags & IFF_VNET_HDR) negotiate(port, (wishes & WISH_OFFLOAD) != 0);
  if (!vnet_known(port) || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
    return fail_text(port, ENOTSUP, "TUNGETVNETHDRSZ", "the virtio-net header has an unknown size");
  }
  memcpy(port->name, ifr.ifr_name, IFNAMSIZ);
  port->ifindex = if_nametoindex(port->name);
  return port_wrap(port);
}

/* setPersistent(port, on: 0 | 1, uid | -1, gid | -1): whether the interface outlives the descriptor, and who may open it. */
napi_value set_persistent(napi_env env, napi_callback_info info) {
  napi_value args[4];
  int32_t on;
  int64_t uid, gid;
  if (!get_args(env, info, 4, args)) return NULL;
  struct port *port = port_of(env, args[0]);
  if (port == NULL || port->closed || napi_get_value_int32(env, args[1], &on) != napi_ok ||
      napi_get_value_int64(env, args[2], &uid) != napi_ok || napi_get_value_int64(env, args[3], &gid) != napi_ok) {
    return NULL;
  }
  if (uid >= 0 && ioctl(port->fd, TUNSETOWNER, (unsigned long)uid) < 0) return throw_errno(env, errno, "TUNSETOWNER");
  if (gid >= 0 && ioctl(port->fd, TUNSETGROUP, (unsigned long)gid) < 0) return throw_errno(env, errno, "TUNSETGROUP");
  if (ioctl(port->fd, TUNSETPERSIST, (unsigned long)on) < 0) return throw_errno(env, errno, "TUNSETPERSIST");
  port->persistent = on != 0;
  return NULL;
}
