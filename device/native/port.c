/* The life of a port: made, bound to the event loop, watched, closed (by the program, the collector or the environment). */
#include "port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAGIC 0x7a9e11f3u

struct port *port_new(napi_env env, enum kind kind) {
  struct port *port = calloc(1, sizeof *port);
  if (port == NULL) {
    throw_errno(env, ENOMEM, "calloc");
    return NULL;
  }
  port->magic = MAGIC;
  port->env = env;
  port->kind = kind;
  port->ip_link = kind == KIND_TUN;
  port->fd = -1;
  return port;
}

static void port_free(struct port *port) {
  port->magic = 0;
  free(port->arenas);
  free(port);
}

void port_discard(struct port *port) {
  if (port->fd >= 0 && !port->borrowed) close(port->fd);
  port_free(port);
}

static void port_release(struct port *port) {
  if (--port->refs == 0) port_free(port);
}

/* The event loop has let go of the handle. The environment may be half gone here: nothing of it is touched. */
static void on_closed(uv_handle_t *handle) {
  struct port *port = handle->data;
  napi_remove_async_cleanup_hook(port->hook);
  port_release(port);
}

static void drop_references(struct port *port) {
  if (port->ready != NULL) napi_delete_reference(port->env, port->ready);
  if (port->counters_ref != NULL) napi_delete_reference(port->env, port->counters_ref);
  for (uint32_t i = 0; i < port->arena_count; i++) napi_delete_reference(port->env, port->arenas[i].ref);
  if (port->context != NULL) napi_async_destroy(port->env, port->context);
  port->ready = NULL;
  port->counters_ref = NULL;
  port->counters = NULL;
  port->arena_count = 0;
  port->context = NULL;
}

void port_close(struct port *port) {
  if (port->closed) return;
  port->closed = true;
  /* libuv wants its handle closed first; the descriptor may follow at once, and the interface is gone when we return. */
  uv_close((uv_handle_t *)&port->poll, on_closed);
  close(port->fd);
  port->fd = -1;
  drop_references(port);
}

/* The thread or process ends with the port open. It waits until on_closed has removed the hook. */
static void on_environment_ends(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  port_close(data);
}

static void on_collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  port_close(data);
  port_release(data);
}

/* Tells the program: 0, or the negative errno that ended the port. */
static void call_ready(struct port *port, int status) {
  napi_env env = port->env;
  napi_handle_scope scope;
  napi_value function, receiver, argument, result;
  if (port->ready == NULL || napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_reference_value(env, port->ready, &function) == napi_ok &&
      napi_get_global(env, &receiver) == napi_ok && napi_create_int32(env, status, &argument) == napi_ok &&
      napi_make_callback(env, port->context, receiver, function, 1, &argument, &result) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

/*
 * The descriptor reported an error, and libuv has stopped watching it. An interface that went down reports once and may
 * come up again; one that was removed is the end of the port.
 */
static void on_poll_error(struct port *port) {
  if (port->kind == KIND_PACKET) {
    int error = 0;
    char name[IFNAMSIZ];
    socklen_t bytes = sizeof error;
    getsockopt(port->fd, SOL_SOCKET, SO_ERROR, &error, &bytes);
    if (if_indextoname(port->ifindex, name) != NULL) {
      port_watch(port);
      return;
    }
  }
  call_ready(port, -ENODEV);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct port *port = poll->data;
  if (port->closed) return;
  if (status < 0) {
    on_poll_error(port);
    return;
  }
  if (events & UV_WRITABLE) {
    port->wants_room = false;
    port_watch(port);
  }
  /* The program may close the port in here; on_closed comes later, from the loop. */
  call_ready(port, 0);
}

void port_watch(struct port *port) {
  if (port->closed) return;
  if (port->ready == NULL) uv_poll_stop(&port->poll);
  else uv_poll_start(&port->poll, UV_READABLE | (port->wants_room ? UV_WRITABLE : 0), on_poll);
}

static bool make_counters(struct port *port) {
  napi_env env = port->env;
  napi_value buffer, array;
  void *data;
  return napi_create_arraybuffer(env, COUNTERS * sizeof(double), &data, &buffer) == napi_ok &&
         napi_create_typedarray(env, napi_float64_array, COUNTERS, buffer, 0, &array) == napi_ok &&
         napi_create_reference(env, array, 1, &port->counters_ref) == napi_ok && (port->counters = data) != NULL;
}

struct search {
  int fd;
  bool found;
};

static void compare_descriptor(uv_handle_t *handle, void *data) {
  struct search *search = data;
  uv_os_fd_t fd;
  if (uv_handle_get_type(handle) == UV_POLL && !uv_is_closing(handle) && uv_fileno(handle, &fd) == 0) {
    search->found |= fd == search->fd;
  }
}

/* libuv notices two handles for one descriptor only while both watch, and then it aborts the process. */
static int poll_init(uv_loop_t *loop, struct port *port) {
  struct search search = {.fd = port->fd, .found = false};
  uv_walk(loop, compare_descriptor, &search);
  return search.found ? UV_EEXIST : uv_poll_init(loop, &port->poll, port->fd);
}

napi_value port_wrap(struct port *port) {
  napi_env env = port->env;
  uv_loop_t *loop;
  napi_value external, name;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok || !make_counters(port) ||
      napi_create_string_utf8(env, "tapwire:device", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &port->context) != napi_ok) {
    drop_references(port);
    port_discard(port);
    napi_throw_error(env, NULL, "the environment cannot hold a device");
    return NULL;
  }
  int failed = poll_init(loop, port);
  if (failed != 0) {
    drop_references(port);
    port_discard(port);
    return throw_errno(env, -failed, "uv_poll_init");
  }
  port->poll.data = port;
  port->borrowed = false;
  port->refs = 1;
  if (napi_add_async_cleanup_hook(env, on_environment_ends, port, &port->hook) != napi_ok ||
      napi_create_external(env, port, on_collected, NULL, &external) != napi_ok) {
    port_close(port);
    napi_throw_error(env, NULL, "the environment cannot hold a device");
    return NULL;
  }
  port->refs++;
  return external;
}

struct port *port_of(napi_env env, napi_value value) {
  napi_valuetype type;
  void *data = NULL;
  if (napi_typeof(env, value, &type) == napi_ok && type == napi_external &&
      napi_get_value_external(env, value, &data) == napi_ok && ((struct port *)data)->magic == MAGIC) {
    return data;
  }
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "not a port");
  return NULL;
}

/* onReady(port, function | null) */
napi_value on_ready(napi_env env, napi_callback_info info) {
  napi_value args[2];
  napi_valuetype type;
  if (!get_args(env, info, 2, args)) return NULL;
  struct port *port = port_of(env, args[0]);
  if (port == NULL || port->closed) return NULL;
  if (port->ready != NULL) napi_delete_reference(env, port->ready);
  port->ready = NULL;
  if (napi_typeof(env, args[1], &type) == napi_ok && type == napi_function) {
    napi_create_reference(env, args[1], 1, &port->ready);
  }
  port_watch(port);
  return NULL;
}

/* hold(port, boolean): whether watching keeps the process alive. */
napi_value hold(napi_env env, napi_callback_info info) {
  napi_value args[2];
  bool on = true;
  if (!get_args(env, info, 2, args)) return NULL;
  struct port *port = port_of(env, args[0]);
  if (port == NULL || port->closed) return NULL;
  napi_get_value_bool(env, args[1], &on);
  if (on) uv_ref((uv_handle_t *)&port->poll);
  else uv_unref((uv_handle_t *)&port->poll);
  return NULL;
}

/* infoOf(port): { name, fd, kind, ipLink, vnetBytes, offload, ifindex, persistent, counters } */
napi_value info_of(napi_env env, napi_callback_info info) {
  napi_value args[1], object, name, counters;
  if (!get_args(env, info, 1, args)) return NULL;
  struct port *port = port_of(env, args[0]);
  if (port == NULL || port->closed || napi_create_object(env, &object) != napi_ok) return NULL;
  napi_create_string_utf8(env, port->name, NAPI_AUTO_LENGTH, &name);
  napi_set_named_property(env, object, "name", name);
  set_int(env, object, "fd", port->fd);
  set_int(env, object, "kind", port->kind);
  set_int(env, object, "ipLink", port->ip_link);
  set_int(env, object, "vnetBytes", port->vnet_bytes);
  set_int(env, object, "offload", port->offload);
  set_int(env, object, "ifindex", port->ifindex);
  set_int(env, object, "multiQueue", port->multi_queue);
  set_int(env, object, "persistent", port->persistent);
  napi_get_reference_value(env, port->counters_ref, &counters);
  napi_set_named_property(env, object, "counters", counters);
  return object;
}

/* close(port) */
napi_value close_port(napi_env env, napi_callback_info info) {
  napi_value args[1];
  if (!get_args(env, info, 1, args)) return NULL;
  struct port *port = port_of(env, args[0]);
  if (port != NULL) port_close(port);
  return NULL;
}
