// Which functions of a program run, in the order of their first calls: each begins with a breakpoint, which is taken away when it is met.
// Its threads and the processes that it starts are followed where they run the same program. x86-64 Linux.
//
//   touched SYMBOLS PROGRAM [WORD...]
//
// SYMBOLS has lines of nm(1): address, kind, name; addresses count from where PROGRAM is loaded. A name a line goes to descriptor 3.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LONGEST_NAME = 8192, PROCESSES = 1 << 22 };

struct symbol {
    unsigned long address;
    char *name;
    unsigned char first; // byte
    int is_met;
};

static struct symbol *symbols;
static size_t count;
static struct stat program;
static FILE *out;

// Where the program of a process is loaded, by its number; 0 where that is not known.
static unsigned long bases[PROCESSES];

static int by_address(const void *left, const void *right) {
    unsigned long a = ((const struct symbol *)left)->address, b = ((const struct symbol *)right)->address;
    return a < b ? -1 : a > b;
}

static void read_symbols(const char *path) {
    FILE *file = fopen(path, "r");
    static char line[LONGEST_NAME], name[LONGEST_NAME];
    unsigned long address;
    size_t room = 0;
    if (!file) { perror(path); exit(2); }
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx %*c %8191[^\n]", &address, name) != 2) continue;
        if (count == room) symbols = realloc(symbols, (room = room ? room * 2 : 1 << 16) * sizeof *symbols);
        symbols[count++] = (struct symbol){ .address = address, .name = strdup(name) };
    }
    fclose(file);
    qsort(symbols, count, sizeof *symbols, by_address);
    // What has several names is met once: the linker knows some functions by another one than the compiler.
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (!kept || symbols[kept - 1].address != symbols[i].address) {
            symbols[kept++] = symbols[i];
            continue;
        }
        struct symbol *same = &symbols[kept - 1];
        same->name = realloc(same->name, strlen(same->name) + strlen(symbols[i].name) + 2);
        strcat(strcat(same->name, "\n"), symbols[i].name);
    }
    count = kept;
}

static int memory_of(pid_t process) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", process);
    return open(path, O_RDWR | O_CLOEXEC);
}

static void poke(int memory, unsigned long address, unsigned char byte) {
    if (pwrite(memory, &byte, 1, address) != 1) perror("touched: a breakpoint is not written");
}

// Where a process has the program; 0 where it runs another one.
static unsigned long base_of(pid_t process) {
    char path[64];
    struct stat its;
    if (bases[process]) return bases[process];
    snprintf(path, sizeof path, "/proc/%d/exe", process);
    if (stat(path, &its) || its.st_ino != program.st_ino || its.st_dev != program.st_dev) return 0;
    snprintf(path, sizeof path, "/proc/%d/maps", process);
    FILE *maps = fopen(path, "r");
    if (!maps || fscanf(maps, "%lx", &bases[process]) != 1) { perror(path); exit(2); }
    fclose(maps);
    return bases[process];
}

// A process that has become a program.
static void arm(pid_t process) {
    bases[process] = 0;
    unsigned long base = base_of(process);
    if (!base) return;
    int memory = memory_of(process);
    for (size_t i = 0; i < count; i++) {
        if (pread(memory, &symbols[i].first, 1, base + symbols[i].address) != 1) continue;
        poke(memory, base + symbols[i].address, 0xCC);
    }
    close(memory);
}

// The process of a thread.
static pid_t process_of(pid_t thread) {
    char path[64], line[256];
    int process = thread;
    snprintf(path, sizeof path, "/proc/%d/status", thread);
    FILE *status = fopen(path, "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "Tgid: %d", &process) == 1) break;
    if (status) fclose(status);
    return process;
}

// Whether a thread met a breakpoint of ours; it goes on at the instruction that was there.
static int met(pid_t thread) {
    struct user_regs_struct registers;
    unsigned long base = base_of(process_of(thread));
    if (!base || ptrace(PTRACE_GETREGS, thread, 0, &registers)) return 0;
    struct symbol key = { .address = registers.rip - 1 - base };
    struct symbol *symbol = bsearch(&key, symbols, count, sizeof *symbols, by_address);
    if (!symbol) return 0;
    int memory = memory_of(thread);
    poke(memory, base + symbol->address, symbol->first);
    close(memory);
    if (!symbol->is_met) fprintf(out, "%s\n", symbol->name);
    symbol->is_met = 1;
    registers.rip--;
    return !ptrace(PTRACE_SETREGS, thread, 0, &registers);
}

int main(int words, char **word) {
    if (words < 3 || !(out = fdopen(3, "a"))) {
        fprintf(stderr, "usage: touched SYMBOLS PROGRAM [WORD...] 3>>NAMES\n");
        return 2;
    }
    read_symbols(word[1]);
    if (stat(word[2], &program)) { perror(word[2]); return 2; }
    pid_t first = fork();
    if (first == 0) {
        close(3);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(word[2], word + 2);
        perror(word[2]);
        _exit(127);
    }
    int state, end = 1;
    waitpid(first, &state, 0);
    ptrace(PTRACE_SETOPTIONS, first, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC);
    arm(first);
    ptrace(PTRACE_CONT, first, 0, 0);
    for (pid_t thread; (thread = waitpid(-1, &state, __WALL)) > 0;) {
        if (!WIFSTOPPED(state)) {
            if (thread == first) end = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
            continue;
        }
        int signal = WSTOPSIG(state), event = state >> 16;
        if (event == PTRACE_EVENT_EXEC) arm(process_of(thread));
        // What the program does with signals is its own affair; a new thread begins with a stop.
        if (event || signal == SIGSTOP || (signal == SIGTRAP && met(thread))) signal = 0;
        ptrace(PTRACE_CONT, thread, 0, signal);
    }
    fclose(out);
    return end;
}
