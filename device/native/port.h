/*
 * A port is one descriptor that frames come from and go to: a TUN or TAP queue, or a packet socket. It belongs to one
 * JavaScript environment (the main thread's or a worker's) and to that environment's event loop. There are no globals.
 */
#ifndef TAPWIRE_PORT_H
#define TAPWIRE_PORT_H

#include <net/if.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum kind { KIND_TUN, KIND_TAP, KIND_PACKET };

/* Where outgoing frames gather their bytes from: memory of a Uint8Array that `ref` keeps alive. */
struct arena {
  uint8_t *data;
  size_t bytes;
  napi_ref ref;
};

/* Positions in `counters`; device/native-device.ts has the same list. */
enum { RX_FRAMES, RX_BYTES_TOTAL, TX_FRAMES, TX_BYTES_TOTAL, TX_ERRORS, COUNTERS };

struct port {
  uint32_t magic;
  /* One for the JavaScript object, one for the event loop's handle. */
  int refs;
  napi_env env;
  uv_poll_t poll;
  napi_async_cleanup_hook_handle hook;
  napi_async_context context;
  napi_ref ready;
  bool closed;
  /* A write met a full queue: report once when it is writable. */
  bool wants_room;

  int fd;
  /* Until the port is finished the descriptor stays the caller's. */
  bool borrowed;
  enum kind kind;
  /* IP directly, no Ethernet header. */
  bool ip_link;
  /* Bytes of virtio-net header before each frame, or 0. */
  int vnet_bytes;
  /* TUN_F_* bits in force. */
  unsigned offload;
  bool multi_queue;
  bool persistent;
  unsigned ifindex;
  char name[IFNAMSIZ];

  double *counters;
  napi_ref counters_ref;
  struct arena *arenas;
  uint32_t arena_count;
  uint32_t arena_capacity;
};

/* Throws an Error like Node's: code, errno (negative), syscall. Returns NULL, so that callers can return it. */
napi_value throw_errno(napi_env env, int error, const char *syscall);
/* The same with a text of our own instead of the system's. */
napi_value throw_text(napi_env env, int error, const char *syscall, const char *text);
void set_int(napi_env env, napi_value object, const char *name, int64_t value);
/* Reads all arguments; false (an exception is pending) when there are fewer than `count`. */
bool get_args(napi_env env, napi_callback_info info, size_t count, napi_value *args);

/* An unbound port; fd is -1. Never NULL: memory exhaustion throws and returns NULL with the exception pending. */
struct port *port_new(napi_env env, enum kind kind);
/* Frees a port that was never handed to JavaScript, and its descriptor. */
void port_discard(struct port *port);
/* Binds the finished port to the event loop and wraps it. On failure the port is discarded and an exception pends. */
napi_value port_wrap(struct port *port);
/* The port behind a wrapped value, or NULL with an exception pending. */
struct port *port_of(napi_env env, napi_value value);
void port_close(struct port *port);
/* Starts or changes what the event loop watches for, after `ready`, `wants_room` or `closed` changed. */
void port_watch(struct port *port);

napi_value on_ready(napi_env env, napi_callback_info info);
napi_value hold(napi_env env, napi_callback_info info);
napi_value info_of(napi_env env, napi_callback_info info);
napi_value close_port(napi_env env, napi_callback_info info);
napi_value add_arena(napi_env env, napi_callback_info info);
napi_value drop_arenas(napi_env env, napi_callback_info info);
napi_value receive(napi_env env, napi_callback_info info);
napi_value transmit(napi_env env, napi_callback_info info);
napi_value open_tun(napi_env env, napi_callback_info info);
napi_value adopt_tun(napi_env env, napi_callback_info info);
napi_value set_persistent(napi_env env, napi_callback_info info);
napi_value open_packet(napi_env env, napi_callback_info info);
napi_value netlink(napi_env env, napi_callback_info info);

#endif
