// A process for the host: with pipes, or with a terminal. What it reads and writes goes over the connection in frames, each stream with a
// window of its own, so that one that nobody reads holds up no other. When the host goes, what runs is ended.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent.h"

enum { MOST_WORDS = 4096, PIECE = 32 * 1024, GRACE_MILLISECONDS = 1000, END_OF_FILE = 4 };

// What was asked for: a list of texts, each with its meaning in front and a zero behind.
struct command {
  char *words[MOST_WORDS + 1], *environment[MOST_WORDS + 1];
  int word_count, environment_count, has_terminal;
  const char *user, *folder;
  struct winsize size;
};

static struct command command;

// An output of the process: what the host still has room for, and whether all of it was sent.
struct source {
  int descriptor;
  enum frame kind;
  uint32_t room;
  int is_over, is_dry;
};

static struct {
  pid_t process;
  int input, input_ends, has_ended, status;
  unsigned char waiting[WINDOW];
  size_t first, count;
  struct source sources[2];
} run;

static int read_command(const struct message *request) {
  char *text = (char *)request->payload, *end = text + request->length;
  if (request->length > 0 && end[-1] != 0) return 0;
  for (; text < end; text += strlen(text) + 1) {
    char *value = text + 1;
    unsigned rows, columns;
    switch (*text) {
      case 'a':
        if (command.word_count == MOST_WORDS) return 0;
        command.words[command.word_count++] = value;
        break;
      case 'e':
        if (command.environment_count == MOST_WORDS || !strchr(value, '=')) return 0;
        command.environment[command.environment_count++] = value;
        break;
      case 'u': command.user = value; break;
      case 'd': command.folder = value; break;
      case 't':
        if (sscanf(value, "%ux%u", &rows, &columns) != 2 || rows > 0xffff || columns > 0xffff) return 0;
        command.has_terminal = 1;
        command.size = (struct winsize){ .ws_row = rows, .ws_col = columns };
        break;
      default: return 0;
    }
  }
  return 1;
}

static void close_fully(int *descriptor) {
  if (*descriptor >= 0) close(*descriptor);
  *descriptor = -1;
}

static void become(const struct passwd *user) {
  if (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) || setuid(user->pw_uid)) _exit(126);
}

static void set_environment(const struct passwd *user) {
  clearenv();
  setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("HOME", user->pw_dir, 1);
  setenv("USER", user->pw_name, 1);
  setenv("LOGNAME", user->pw_name, 1);
  setenv("SHELL", *user->pw_shell ? user->pw_shell : "/bin/sh", 1);
  for (int i = 0; i < command.environment_count; i++) putenv(command.environment[i]);
}

// What the new process says over the pipe when it cannot become the command.
struct obstacle {
  int error;
  enum { AT_FOLDER, AT_PROGRAM } where;
};

static void begin(const struct passwd *user, int own[3], int report) {
  setsid();
  for (int i = 0; i < 3; i++) dup2(own[i], i);
  if (command.has_terminal) ioctl(0, TIOCSCTTY, 0);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  become(user);
  set_environment(user);
  struct obstacle met = { .where = AT_FOLDER };
  if (chdir(command.folder ? command.folder : user->pw_dir) && (command.folder || chdir("/"))) met.error = errno;
  else {
    met.where = AT_PROGRAM;
    if (command.word_count > 0) execvp(command.words[0], command.words);
    else {
      // A login shell's name begins with a hyphen.
      const char *shell = getenv("SHELL"), *name = strrchr(shell, '/');
      char called[256];
      snprintf(called, sizeof called, "-%s", name ? name + 1 : shell);
      command.words[0] = (char *)shell;
      execl(shell, called, (char *)NULL);
    }
    met.error = errno;
  }
  write(report, &met, sizeof met);
  _exit(127);
}

// The ends of the process, and ours. 0: there are none.
static int open_terminal(int own[3], int *master) {
  char name[64];
  *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (*master < 0 || grantpt(*master) || unlockpt(*master) || ptsname_r(*master, name, sizeof name)) return 0;
  ioctl(*master, TIOCSWINSZ, &command.size);
  int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  own[0] = own[1] = own[2] = slave;
  return slave >= 0;
}

static int open_pipes(int own[3], int ours[3]) {
  for (int i = 0; i < 3; i++) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return 0;
    own[i] = ends[i > 0];
    ours[i] = ends[i == 0];
  }
  return 1;
}

static int start(void) {
  const char *name = command.user ? command.user : "root";
  struct passwd *user = getpwnam(name);
  if (!user) {
    send_failure(NOT_RUNNABLE, "the guest has no user %s", name);
    return 0;
  }
  int own[3], ours[3] = { -1, -1, -1 }, report[2];
  if (!(command.has_terminal ? open_terminal(own, &ours[0]) : open_pipes(own, ours)) || pipe2(report, O_CLOEXEC)) {
    send_failure(REFUSED, "the guest has no more terminals or pipes: %s", strerror(errno));
    return 0;
  }
  if (command.has_terminal) {
    ours[1] = fcntl(ours[0], F_DUPFD_CLOEXEC, 0);
    // So that the user may use what it is given.
    fchown(own[0], user->pw_uid, -1);
  }
  run.process = fork();
  if (run.process == 0) begin(user, own, report[1]);
  close(report[1]);
  for (int i = 0; i < (command.has_terminal ? 1 : 3); i++) close(own[i]);
  struct obstacle met;
  ssize_t count;
  do count = run.process < 0 ? 0 : read(report[0], &met, sizeof met);
  while (count < 0 && errno == EINTR);
  if (run.process < 0) send_failure(REFUSED, "the guest can start no process: %s", strerror(errno));
  else if (count == sizeof met && met.where == AT_FOLDER) send_failure(NOT_RUNNABLE, "the guest's folder %s cannot be entered: %s", command.folder, strerror(met.error));
  else if (count == sizeof met) send_failure(met.error == ENOENT ? NOT_FOUND : NOT_RUNNABLE, "the guest cannot run %s: %s", command.word_count ? command.words[0] : user->pw_shell, strerror(met.error));
  if (run.process < 0 || count == sizeof met) return 0;
  close(report[0]);
  run.input = ours[0];
  run.sources[0] = (struct source){ .descriptor = ours[1], .kind = OUTPUT, .room = WINDOW };
  run.sources[1] = (struct source){ .descriptor = ours[2], .kind = ERRORS, .room = WINDOW, .is_over = command.has_terminal };
  for (int i = 0; i < 3; i++)
    if (ours[i] >= 0) fcntl(ours[i], F_SETFL, O_NONBLOCK);
  return 1;
}

// 0: the host breaks the protocol.
static int take(const struct message *said) {
  struct source *of;
  switch (said->kind) {
    case INPUT:
      if (run.input_ends || said->length > WINDOW - run.count) return 0;
      if (said->length == 0) {
        run.input_ends = 1;
        // A terminal has no end that could be closed.
        if (command.has_terminal && run.count < WINDOW) run.waiting[(run.first + run.count++) % WINDOW] = END_OF_FILE;
      }
      for (size_t i = 0; i < said->length;) {
        size_t at = (run.first + run.count) % WINDOW, piece = said->length - i;
        if (piece > WINDOW - at) piece = WINDOW - at;
        memcpy(run.waiting + at, said->payload + i, piece);
        run.count += piece;
        i += piece;
      }
      return 1;
    case CREDIT:
      if (said->length != 5 || said->payload[0] > 1) return 0;
      of = &run.sources[said->payload[0]];
      if (read_number(said->payload + 1) > WINDOW - of->room) return 0;
      of->room += read_number(said->payload + 1);
      return 1;
    case SIGNAL:
      if (said->length != 1 || said->payload[0] == 0 || said->payload[0] > 64) return 0;
      if (!run.has_ended) kill(-run.process, said->payload[0]);
      return 1;
    case SIZE:
      if (said->length != 4 || !command.has_terminal) return 0;
      command.size.ws_row = said->payload[0] | said->payload[1] << 8;
      command.size.ws_col = said->payload[2] | said->payload[3] << 8;
      ioctl(run.sources[0].descriptor, TIOCSWINSZ, &command.size);
      return 1;
    default: return 0;
  }
}

static void feed(void) {
  while (run.count > 0 && run.input >= 0) {
    size_t piece = WINDOW - run.first < run.count ? WINDOW - run.first : run.count;
    ssize_t count = write(run.input, run.waiting + run.first, piece);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) {
      // It reads no more; what comes is taken and forgotten.
      close_fully(&run.input);
      break;
    }
    unsigned char taken[4];
    run.first = (run.first + count) % WINDOW;
    run.count -= count;
    write_number(taken, count);
    send_frame(TAKEN, taken, sizeof taken);
  }
  if (run.input < 0 && run.count > 0) {
    unsigned char taken[4];
    write_number(taken, run.count);
    run.count = 0;
    send_frame(TAKEN, taken, sizeof taken);
  }
  if (run.input_ends && run.count == 0 && !command.has_terminal) close_fully(&run.input);
}

// Sends what there is, as far as the host has room.
static void drain(struct source *of) {
  static unsigned char piece[PIECE];
  of->is_dry = 0;
  while (!of->is_over && of->room > 0) {
    ssize_t count = read(of->descriptor, piece, of->room < PIECE ? of->room : PIECE);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      of->is_dry = 1;
      return;
    }
    if (count <= 0) {
      // A terminal that nobody has open any more answers EIO.
      of->is_over = 1;
      count = 0;
    }
    of->room -= count;
    send_frame(of->kind, piece, count);
    // One piece at a time: input and signals come in between.
    return;
  }
}

// What the process wrote is with us when it has ended, and what others that it left behind write is not waited for. A terminal's last
// bytes arrive a little later; it ends with its process in any case.
static int is_told(void) {
  for (int i = 0; i < 2; i++)
    if (!run.sources[i].is_over && (command.has_terminal || !run.sources[i].is_dry)) return 0;
  return 1;
}

static void end_process(void) {
  // What a command left behind when it ended by itself is to go on.
  if (run.has_ended) return;
  kill(-run.process, SIGHUP);
  kill(-run.process, SIGCONT);
  sigset_t none;
  sigemptyset(&none);
  struct timespec grace = { .tv_sec = GRACE_MILLISECONDS / 1000 };
  if (waitpid(run.process, NULL, WNOHANG) == 0) ppoll(NULL, 0, &grace, &none);
  kill(-run.process, SIGKILL);
}

static void tell_end(void) {
  unsigned char end[2] = { WIFSIGNALED(run.status), WIFSIGNALED(run.status) ? WTERMSIG(run.status) : WEXITSTATUS(run.status) };
  send_frame(ENDED, end, sizeof end);
}

void serve_run(const struct message *request) {
  static struct message said;
  sigset_t child, none;
  sigemptyset(&none);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  // The texts stay where they are only until more is read.
  struct message kept = *request;
  kept.payload = malloc(kept.length + 1);
  if (!kept.payload) return;
  memcpy(kept.payload, request->payload, kept.length);
  if (!read_command(&kept)) {
    send_failure(BAD_REQUEST, "the agent does not understand what it is to run");
    return;
  }
  if (!start()) return;
  unsigned char number[4];
  write_number(number, run.process);
  send_frame(STARTED, number, sizeof number);
  for (;;) {
    while (wire_next(&said))
      if (!take(&said)) {
        send_failure(BAD_REQUEST, "the agent does not understand a frame of the kind %d", said.kind);
        end_process();
        return;
      }
    if (!run.has_ended && waitpid(run.process, &run.status, WNOHANG) == run.process) run.has_ended = 1;
    feed();
    for (int i = 0; i < 2; i++) drain(&run.sources[i]);
    if (run.has_ended && is_told()) break;
    struct pollfd waits[4] = { { wire_descriptor(), POLLIN } };
    waits[1] = (struct pollfd){ run.count > 0 ? run.input : -1, POLLOUT };
    for (int i = 0; i < 2; i++) waits[2 + i] = (struct pollfd){ run.sources[i].is_over || run.sources[i].room == 0 ? -1 : run.sources[i].descriptor, POLLIN };
    // An end of the process between the look above and here interrupts the wait at once.
    if (ppoll(waits, 4, NULL, &none) < 0) continue;
    if (waits[0].revents && !wire_fill()) {
      end_process();
      return;
    }
  }
  tell_end();
}
