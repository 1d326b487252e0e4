// The frames of one connection. The host is trusted by its guest, but not to be free of mistakes: a frame that is none ends the session.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "agent.h"

enum { HEADER = 4 };

static int connection;
static unsigned char received[HEADER + MOST_PAYLOAD];
static size_t have, used;

void wire_open(int descriptor) { connection = descriptor; }

int wire_descriptor(void) { return connection; }

static void send_all(const unsigned char *bytes, size_t length) {
  while (length > 0) {
    ssize_t count = write(connection, bytes, length);
    if (count < 0 && errno == EINTR) continue;
    // Nobody is there to be told anything; whoever has a process sees it at the next read.
    if (count <= 0) return;
    bytes += count;
    length -= count;
  }
}

void send_frame(enum frame kind, const void *payload, size_t length) {
  static unsigned char frame[HEADER + MOST_PAYLOAD];
  write_number(frame, kind | (uint32_t)length << 8);
  memcpy(frame + HEADER, payload, length);
  send_all(frame, HEADER + length);
}

void send_failure(enum failure why, const char *format, ...) {
  char text[512];
  va_list values;
  va_start(values, format);
  text[0] = why;
  vsnprintf(text + 1, sizeof text - 1, format, values);
  va_end(values);
  send_frame(FAILED, text, 1 + strlen(text + 1));
}

int wire_fill(void) {
  memmove(received, received + used, have - used);
  have -= used;
  used = 0;
  ssize_t count = read(connection, received + have, sizeof received - have);
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  have += count;
  return count > 0;
}

int wire_next(struct message *message) {
  if (have - used < HEADER) return 0;
  uint32_t head = read_number(received + used);
  size_t length = head >> 8;
  if (length > MOST_PAYLOAD) {
    send_failure(BAD_REQUEST, "a frame has at most %d bytes", MOST_PAYLOAD);
    _exit(1);
  }
  if (have - used < HEADER + length) return 0;
  *message = (struct message){ .kind = head & 0xff, .length = length, .payload = received + used + HEADER };
  used += HEADER + length;
  return 1;
}
