/* One request to rtnetlink(7) and its answer. The messages are built and read in device/netlink.ts. */
#include "port.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PART_BYTES 65536
#define ANSWER_BYTES_MAX (16 << 20)

struct answer {
  uint8_t *data;
  size_t bytes;
  /* 0 while parts are missing, 1 when complete, negative errno on failure. */
  int status;
};

static void append(struct answer *answer, const void *data, size_t bytes) {
  uint8_t *grown = answer->bytes + bytes > ANSWER_BYTES_MAX ? NULL : realloc(answer->data, answer->bytes + bytes);
  if (grown == NULL) {
    answer->status = -ENOMEM;
    return;
  }
  memcpy(grown + answer->bytes, data, bytes);
  answer->data = grown;
  answer->bytes += bytes;
}

static void read_part(struct answer *answer, const uint8_t *part, size_t bytes) {
  const struct nlmsghdr *message = (const struct nlmsghdr *)part;
  for (; NLMSG_OK(message, bytes) && answer->status == 0; message = NLMSG_NEXT(message, bytes)) {
    if (message->nlmsg_type == NLMSG_ERROR) {
      int error = ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
      answer->status = error == 0 ? 1 : error;
    } else if (message->nlmsg_type == NLMSG_DONE) {
      answer->status = 1;
    } else {
      append(answer, message, NLMSG_ALIGN(message->nlmsg_len) <= bytes ? NLMSG_ALIGN(message->nlmsg_len) : message->nlmsg_len);
    }
  }
}

static void exchange(int fd, const void *request, size_t bytes, struct answer *answer) {
  uint8_t *part = malloc(PART_BYTES);
  if (part == NULL || send(fd, request, bytes, 0) < 0) {
    answer->status = part == NULL ? -ENOMEM : -errno;
  }
  while (answer->status == 0) {
    ssize_t got = recv(fd, part, PART_BYTES, 0);
    if (got > 0) read_part(answer, part, (size_t)got);
    else if (got == 0 || errno != EINTR) answer->status = got == 0 ? -EIO : -errno;
  }
  free(part);
}

/* netlink(request: Uint8Array): the answer's messages, one behind the other. The request must ask for an acknowledgement. */
napi_value netlink(napi_env env, napi_callback_info info) {
  napi_value args[1], result = NULL;
  napi_typedarray_type type;
  void *request;
  size_t bytes;
  if (!get_args(env, info, 1, args)) return NULL;
  if (napi_get_typedarray_info(env, args[0], &type, &bytes, &request, NULL, NULL) != napi_ok || type != napi_uint8_array) {
    napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "the request must be a Uint8Array");
    return NULL;
  }
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return throw_errno(env, errno, "socket");
  /* The kernel answers before send() returns; the limit only keeps a surprise from hanging the program. */
  struct timeval limit = {.tv_sec = 5};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  struct answer answer = {0};
  exchange(fd, request, bytes, &answer);
  close(fd);
  if (answer.status < 0) throw_errno(env, -answer.status, "netlink");
  else napi_create_buffer_copy(env, answer.bytes, answer.data, NULL, &result);
  free(answer.data);
  return result;
}
