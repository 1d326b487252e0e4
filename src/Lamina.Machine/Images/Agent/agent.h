// What the files of the guest's agent share: the frames of the protocol (docs/agent.md) and its limits.
#ifndef LAMINA_AGENT_H
#define LAMINA_AGENT_H

#include <stddef.h>
#include <stdint.h>

enum {
  AGENT_VERSION = 1,
  AGENT_PORT = 19553,
  // The longest payload of a frame, and how many bytes of a stream may be under way without being taken.
  MOST_PAYLOAD = 64 * 1024,
  WINDOW = 256 * 1024,
  MOST_SESSIONS = 64,
};

// The first byte of a frame; the payload's length follows in three bytes, the lowest first.
enum frame {
  // What the host says: one request first, then what belongs to it.
  RUN = 'x', POWER = 'p', CLOCK = 'k', RESEED = 'r', FREEZE = 'f', ADDRESSES = 'a', PING = 'n',
  INPUT = 'i', SIGNAL = 's', SIZE = 'w', CREDIT = 'c',
  // What the guest says.
  HELLO = 'H', STARTED = 'S', OUTPUT = 'O', ERRORS = 'E', TAKEN = 'C', ENDED = 'X', DONE = 'K', FAILED = 'F',
};

// Why a request failed; the first byte of FAILED, a sentence follows.
enum failure { BAD_REQUEST = 1, NOT_FOUND = 2, NOT_RUNNABLE = 3, REFUSED = 4 };

struct message {
  enum frame kind;
  size_t length;
  unsigned char *payload;
};

// The connection (wire.c). Sending ends the process where the host is gone.
void wire_open(int descriptor);
int wire_descriptor(void);
void send_frame(enum frame kind, const void *payload, size_t length);
void send_failure(enum failure why, const char *format, ...);
// Reads what has come. 0: the host is gone.
int wire_fill(void);
// The next whole frame of what has come, valid until the next call of wire_fill. 0: there is none yet.
int wire_next(struct message *message);

static inline uint32_t read_number(const unsigned char *bytes) {
  return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static inline void write_number(unsigned char *bytes, uint32_t value) {
  for (int i = 0; i < 4; i++) bytes[i] = value >> 8 * i;
}

// A process (run.c), until it has ended or the host has gone.
void serve_run(const struct message *request);
// Everything that is done at once (acts.c).
void serve_act(const struct message *request);

#endif
