/* The addon's face: its functions, and how they fail. device/native.ts declares the same list. */
#include "port.h"

#include <stdio.h>
#include <string.h>

napi_value throw_text(napi_env env, int error, const char *syscall, const char *text) {
  char code[32];
  char message[320];
  napi_value js_code, js_message, js_syscall, js_error;
  uv_err_name_r(-error, code, sizeof code);
  snprintf(message, sizeof message, "%s: %s, %s", code, text, syscall);
  if (napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &js_code) != napi_ok ||
      napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &js_message) != napi_ok ||
      napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &js_syscall) != napi_ok ||
      napi_create_error(env, js_code, js_message, &js_error) != napi_ok) {
    return NULL;
  }
  set_int(env, js_error, "errno", -error);
  napi_set_named_property(env, js_error, "syscall", js_syscall);
  napi_throw(env, js_error);
  return NULL;
}

napi_value throw_errno(napi_env env, int error, const char *syscall) {
  char text[128];
  uv_strerror_r(-error, text, sizeof text);
  return throw_text(env, error, syscall, text);
}

void set_int(napi_env env, napi_value object, const char *name, int64_t value) {
  napi_value number;
  if (napi_create_int64(env, value, &number) == napi_ok) napi_set_named_property(env, object, name, number);
}

bool get_args(napi_env env, napi_callback_info info, size_t count, napi_value *args) {
  size_t given = count;
  if (napi_get_cb_info(env, info, &given, args, NULL, NULL) != napi_ok || given < count) {
    napi_throw_type_error(env, "ERR_MISSING_ARGS", "too few arguments");
    return false;
  }
  return true;
}

static void offer(napi_env env, napi_value exports, const char *name, napi_callback function) {
  napi_value js_function;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &js_function) == napi_ok) {
    napi_set_named_property(env, exports, name, js_function);
  }
}

NAPI_MODULE_INIT() {
  offer(env, exports, "openTun", open_tun);
  offer(env, exports, "adoptTun", adopt_tun);
  offer(env, exports, "setPersistent", set_persistent);
  offer(env, exports, "openPacket", open_packet);
  offer(env, exports, "infoOf", info_of);
  offer(env, exports, "addArena", add_arena);
  offer(env, exports, "dropArenas", drop_arenas);
  offer(env, exports, "receive", receive);
  offer(env, exports, "transmit", transmit);
  offer(env, exports, "onReady", on_ready);
  offer(env, exports, "hold", hold);
  offer(env, exports, "close", close_port);
  offer(env, exports, "netlink", netlink);
  return exports;
}
