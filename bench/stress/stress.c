// Makes two or more CPUs trip over each other for a while: fork and copy-on-write, mmap and munmap under threads, changes
// of protection caught by a signal handler, signals between threads, futexes, pipes, locked additions within and across
// cache lines and pages, and code that one thread changes for another. Each kind sums up what it does, and says where a
// sum is wrong; exit code 1 then. Usage: stress SECONDS
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { Page = 4096 };
static atomic_int stop, wrong;
static time_t end;

static int going(void) { return !stop && time(0) < end; }

static void check(int ok, const char *what)
{
    if (ok) return;
    printf("WRONG %s\n", what);
    fflush(stdout);
    wrong = stop = 1;
}

static void report(const char *what, long rounds) { printf("STRESS %s %ld\n", what, rounds); fflush(stdout); }

// Children see what was written before the fork, and the parent nothing of theirs.
static void *forks(void *_)
{
    enum { Bytes = 64 * Page };
    unsigned char *memory = mmap(0, Bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long n = 0;
    for (; going(); n++) {
        memset(memory, (int)n, Bytes);
        pid_t child = fork();
        if (child == 0) {
            for (int i = 0; i < Bytes; i += 64) if (memory[i] != (unsigned char)n) _exit(1);
            memset(memory, 0x5a, Bytes);
            _exit(42);
        }
        int status = 0;
        check(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42, "fork: a child");
        for (int i = 0; i < Bytes; i += 64) check(memory[i] == (unsigned char)n, "fork: the parent's memory");
    }
    report("fork", n);
    return 0;
}

// What one thread maps and fills, unmaps and maps again must not be seen through a stale translation.
static void *maps(void *_)
{
    long n = 0;
    unsigned seed = 1 + (unsigned)(uintptr_t)_;
    for (; going(); n++) {
        int pages = 1 + rand_r(&seed) % 64;
        uint64_t *at = mmap(0, (size_t)pages * Page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(at != MAP_FAILED, "mmap");
        if (at == MAP_FAILED) break;
        for (int p = 0; p < pages; p++) {
            check(at[p * 512] == 0, "mmap: new memory is zero");
            at[p * 512] = (uint64_t)n * 64 + p;
        }
        int cut = rand_r(&seed) % pages;
        madvise((char *)at + cut * Page, Page, MADV_DONTNEED);
        for (int p = 0; p < pages; p++) check(at[p * 512] == (p == cut ? 0 : (uint64_t)n * 64 + p), "mmap: what was written");
        munmap(at, (size_t)pages * Page);
    }
    report("mmap", n);
    return 0;
}

// A store to a page that may not be written is told to the handler, which allows it.
static char *guarded;
static atomic_long caught;
static void on_fault(int number, siginfo_t *info, void *context)
{
    if ((char *)info->si_addr < guarded || (char *)info->si_addr >= guarded + 16 * Page) _exit(99);
    caught++;
    mprotect((void *)((uintptr_t)info->si_addr & -Page), Page, PROT_READ | PROT_WRITE);
}

static void *protections(void *_)
{
    long n = 0;
    for (; going(); n++) {
        mprotect(guarded, 16 * Page, PROT_READ);
        long before = caught;
        for (int p = 0; p < 16; p++) guarded[p * Page + n % Page] = (char)(n + p);
        check(caught - before == 16, "mprotect: faults");
        for (int p = 0; p < 16; p++) check(guarded[p * Page + n % Page] == (char)(n + p), "mprotect: what was written");
    }
    report("mprotect", n);
    return 0;
}

// Each signal that was sent is handled; real-time signals are queued.
static atomic_long handled;
static void on_signal(int number) { handled++; }
static void *spin(void *_) { while (going()) sched_yield(); return 0; }
static void *signals(void *target)
{
    long n = 0;
    for (; going(); n++) {
        while (pthread_kill(*(pthread_t *)target, SIGRTMIN) == EAGAIN) sched_yield();
        while (handled != n + 1 && going()) sched_yield();
    }
    report("signal", n);
    return 0;
}

// A mutex and a condition, which are futexes, hand a number to and fro.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long turn, turns[2];
static void *futexes(void *me)
{
    long mine = (long)me;
    pthread_mutex_lock(&lock);
    while (going()) {
        while (turn % 2 != mine && going()) {
            struct timespec later = { time(0) + 1, 0 };
            pthread_cond_timedwait(&changed, &lock, &later);
        }
        if (turn % 2 != mine) break;
        turn++;
        turns[mine]++;
        pthread_cond_signal(&changed);
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

// What goes into a pipe comes out, in order.
static int ends[2];
static void *pipe_in(void *_)
{
    uint32_t block[700], next = 0;
    while (going()) {
        for (int i = 0; i < 700; i++) block[i] = next++;
        size_t done = 0;
        while (done < sizeof block) {
            ssize_t n = write(ends[1], (char *)block + done, sizeof block - done);
            if (n <= 0) break;
            done += (size_t)n;
        }
    }
    close(ends[1]);
    return 0;
}

static void *pipe_out(void *_)
{
    uint32_t next = 0, got;
    size_t have = 0;
    for (;;) {
        ssize_t n = read(ends[0], (char *)&got + have, 4 - have);
        if (n <= 0) break;
        if ((have += (size_t)n) < 4) continue;
        check(got == next++, "pipe: order");
        have = 0;
    }
    report("pipe", next);
    return 0;
}

// Locked additions of two threads: aligned, across a cache line, across a page.
static uint64_t *counters[3];
static atomic_long added;
static void *additions(void *_)
{
    long n = 0;
    for (; going(); n++)
        for (int c = 0; c < 3; c++) __asm__ volatile("lock addq $1, (%0)" : : "r"(counters[c]) : "memory", "cc");
    added += n;
    return 0;
}

// Code that returns a number is changed, and run by its changer and, behind a store that tells, by another thread.
static unsigned char *code;
static atomic_uint version, seen;
static int run(void) { return ((int (*)(void))code)(); }
static void *changer(void *_)
{
    unsigned n = 0;
    while (going()) {
        n++;
        memcpy(code + 1, &n, 4);
        check(run() == (int)n, "code: the changer's");
        version = n;
        while (seen != n && going()) sched_yield();
    }
    report("code", n);
    return 0;
}

static void *runner(void *_)
{
    while (going()) {
        unsigned n = version;
        if (n == seen) { sched_yield(); continue; }
        unsigned a, b, c, d;
        __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0), "c"(0) : "memory");
        check(run() == (int)n, "code: the other's");
        seen = n;
    }
    return 0;
}

int main(int argc, char **argv)
{
    end = time(0) + (argc > 1 ? atoi(argv[1]) : 10);
    guarded = mmap(0, 16 * Page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &action, 0);
    signal(SIGRTMIN, on_signal);
    char *both = aligned_alloc(Page, 4 * Page);
    memset(both, 0, 4 * Page);
    counters[0] = (uint64_t *)both;
    counters[1] = (uint64_t *)(both + Page + 60);
    counters[2] = (uint64_t *)(both + 3 * Page - 3);
    code = mmap(0, Page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, "\xb8\0\0\0\0\xc3", 6);
    if (pipe(ends) != 0) return 1;

    pthread_t target, all[16];
    int n = 0;
    pthread_create(&target, 0, spin, 0);
    pthread_create(&all[n++], 0, forks, 0);
    pthread_create(&all[n++], 0, maps, (void *)1);
    pthread_create(&all[n++], 0, maps, (void *)2);
    pthread_create(&all[n++], 0, protections, 0);
    pthread_create(&all[n++], 0, signals, &target);
    pthread_create(&all[n++], 0, futexes, (void *)0);
    pthread_create(&all[n++], 0, futexes, (void *)1);
    pthread_create(&all[n++], 0, pipe_in, 0);
    pthread_create(&all[n++], 0, pipe_out, 0);
    pthread_create(&all[n++], 0, additions, 0);
    pthread_create(&all[n++], 0, additions, 0);
    pthread_create(&all[n++], 0, changer, 0);
    pthread_create(&all[n++], 0, runner, 0);
    for (int i = 0; i < n; i++) pthread_join(all[i], 0);
    pthread_join(target, 0);
    for (int c = 0; c < 3; c++) check(*counters[c] == (uint64_t)added, c == 0 ? "lock: aligned" : c == 1 ? "lock: across lines" : "lock: across pages");
    check(labs(turns[0] - turns[1]) <= 1 && turns[0] + turns[1] == turn, "futex: turns");
    report("futex", turn);
    report("lock", added);
    puts(wrong ? "STRESS FAILED" : "STRESS PASSED");
    return wrong;
}
