// The agent in a guest: listens for the host on a socket of the kind vsock and has a process of its own for each connection, so that
// what one asks for ends with it. It does only what its host asks; what else runs in the guest cannot reach it. docs/agent.md.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent.h"

// struct sockaddr_vm of linux/vm_sockets.h.
struct vsock_address {
  unsigned short family, reserved;
  unsigned int port, cid;
  unsigned char flags, zero[3];
};

static const unsigned int any_cid = ~0u, host_cid = 2;

static void ignore(int signal) { (void)signal; }

static void serve(int client) {
  struct message request;
  unsigned char version[4];
  wire_open(client);
  write_number(version, AGENT_VERSION);
  send_frame(HELLO, version, sizeof version);
  while (!wire_next(&request))
    if (!wire_fill()) return;
  if (request.kind == RUN) serve_run(&request);
  else serve_act(&request);
}

// Without an init that starts services the agent goes into the background by itself, when it listens.
static void leave(void) {
  if (fork() > 0) _exit(0);
  setsid();
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int i = 0; i < 3; i++) dup2(nothing, i);
}

int main(int count, char **words) {
  int stays = count == 2 && !strcmp(words[1], "--foreground");
  if (count > 1 + stays) {
    fprintf(stderr, "usage: %s [--foreground]\n", words[0]);
    return 2;
  }
  struct vsock_address own = { .family = AF_VSOCK, .port = AGENT_PORT, .cid = any_cid };
  int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, MOST_SESSIONS)) {
    fprintf(stderr, "%s: cannot listen for the host: %s\n", words[0], strerror(errno));
    return 1;
  }
  if (!stays) leave();
  chdir("/");
  signal(SIGPIPE, SIG_IGN);
  struct sigaction wake = { .sa_handler = ignore };
  sigaction(SIGCHLD, &wake, NULL);
  int sessions = 0;
  for (;;) {
    struct vsock_address peer = { 0 };
    socklen_t length = sizeof peer;
    int client = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
    while (waitpid(-1, NULL, WNOHANG) > 0) sessions--;
    if (client < 0) {
      // Without memory or descriptors: later.
      if (errno != EINTR && errno != ECONNABORTED) poll(NULL, 0, 50);
      continue;
    }
    // A user of the guest's may reach this port as well, by the guest's own address.
    pid_t child = peer.cid == host_cid && sessions < MOST_SESSIONS ? fork() : -1;
    if (child == 0) {
      close(listener);
      serve(client);
      _exit(0);
    }
    if (child > 0) sessions++;
    close(client);
  }
}
