// What the agent does at once: the clock, randomness, file systems, addresses, power. Each is answered by one frame.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <mntent.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "agent.h"

enum { MOST_FROZEN = 256, MOST_SEED = 512 };

// linux/fs.h and linux/random.h.
static const unsigned long freeze_file_system = 0xC0045877, thaw_file_system = 0xC0045878, add_entropy = 0x40085203, reseed_now = 0x5207;

static void done(const char *text) { send_frame(DONE, text, strlen(text)); }

static void set_clock(const struct message *request) {
  if (request->length != 12) {
    send_failure(BAD_REQUEST, "a time has 12 bytes");
    return;
  }
  struct timespec now = {
    .tv_sec = read_number(request->payload) | (uint64_t)read_number(request->payload + 4) << 32,
    .tv_nsec = read_number(request->payload + 8),
  };
  if (clock_settime(CLOCK_REALTIME, &now)) send_failure(REFUSED, "the guest's clock cannot be set: %s", strerror(errno));
  else done("");
}

static void reseed(const struct message *request) {
  // struct rand_pool_info.
  static struct {
    int bits, bytes;
    unsigned char seed[MOST_SEED];
  } pool;
  if (request->length == 0 || request->length > MOST_SEED) {
    send_failure(BAD_REQUEST, "a seed has 1 to %d bytes", MOST_SEED);
    return;
  }
  pool.bits = 8 * request->length;
  pool.bytes = request->length;
  memcpy(pool.seed, request->payload, request->length);
  int random = open("/dev/random", O_WRONLY | O_CLOEXEC);
  if (random < 0 || ioctl(random, add_entropy, &pool)) {
    send_failure(REFUSED, "the guest's kernel takes no randomness: %s", strerror(errno));
    return;
  }
  // Kernels before 4.14 have no such call, and take it up by themselves.
  ioctl(random, reseed_now);
  done("");
}

// Holds the file systems of block devices for as long as the host stays connected: whoever dies leaves none frozen.
static void freeze(void) {
  static int frozen[MOST_FROZEN];
  int count = 0, refused = 0;
  FILE *mounts = setmntent("/proc/self/mounts", "re");
  for (struct mntent *mount; mounts && count < MOST_FROZEN && (mount = getmntent(mounts));) {
    if (strncmp(mount->mnt_fsname, "/dev/", 5) || hasmntopt(mount, "ro")) continue;
    int folder = open(mount->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) continue;
    // Frozen already is what is mounted at a second place, and what another froze; both are not ours.
    if (!ioctl(folder, freeze_file_system, 0)) frozen[count++] = folder;
    else {
      if (errno != EBUSY && errno != EOPNOTSUPP) refused = errno;
      close(folder);
    }
  }
  if (mounts) endmntent(mounts);
  if (refused) send_failure(REFUSED, "a file system of the guest's cannot be frozen: %s", strerror(refused));
  else {
    char text[16];
    snprintf(text, sizeof text, "%d", count);
    done(text);
    struct message ignored;
    while (wire_fill())
      while (wire_next(&ignored)) {}
  }
  while (count > 0) ioctl(frozen[--count], thaw_file_system, 0);
}

static void tell_addresses(void) {
  static char text[MOST_PAYLOAD];
  size_t length = 0;
  struct ifaddrs *all, *one;
  if (getifaddrs(&all)) {
    send_failure(REFUSED, "the guest does not tell its addresses: %s", strerror(errno));
    return;
  }
  for (one = all; one; one = one->ifa_next) {
    char address[INET6_ADDRSTRLEN];
    if (!one->ifa_addr) continue;
    int family = one->ifa_addr->sa_family;
    const void *bytes = family == AF_INET ? (void *)&((struct sockaddr_in *)one->ifa_addr)->sin_addr : (void *)&((struct sockaddr_in6 *)one->ifa_addr)->sin6_addr;
    if ((family != AF_INET && family != AF_INET6) || !inet_ntop(family, bytes, address, sizeof address)) continue;
    int count = snprintf(text + length, sizeof text - length, "%s %s\n", one->ifa_name, address);
    if (count < 0 || (size_t)count >= sizeof text - length) break;
    length += count;
  }
  freeifaddrs(all);
  send_frame(DONE, text, length);
}

// As a user of the guest's would, so that services end in order; the kernel alone where there is no such program.
static void power(const struct message *request) {
  int reboots = request->length == 6 && !memcmp(request->payload, "reboot", 6);
  if (!reboots && (request->length != 3 || memcmp(request->payload, "off", 3))) {
    send_failure(BAD_REQUEST, "power takes \"off\" or \"reboot\"");
    return;
  }
  const char *program = reboots ? "reboot" : "poweroff";
  done("");
  setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
  pid_t child = fork();
  if (child == 0) {
    execlp(program, program, (char *)NULL);
    _exit(127);
  }
  int status = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  sync();
  reboot(reboots ? RB_AUTOBOOT : RB_POWER_OFF);
}

void serve_act(const struct message *request) {
  switch (request->kind) {
    case PING: done(""); break;
    case CLOCK: set_clock(request); break;
    case RESEED: reseed(request); break;
    case FREEZE: freeze(); break;
    case ADDRESSES: tell_addresses(); break;
    case POWER: power(request); break;
    default: send_failure(BAD_REQUEST, "the agent knows no request of the kind %d", request->kind); break;
  }
}
