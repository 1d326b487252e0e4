// What system instructions and waking up cost in a guest, in TSC cycles: a Multiboot kernel without an operating system, which runs
// under Lamina and QEMU alike (run says how). One line each: NAME CYCLES, the median and for what waits the mean as well.
// Two CPUs are wanted; without the second the round trips are left out.
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

enum { SERIAL = 0x3f8, PM_TIMER = 0x608, KEYBOARD = 0x64, RESET = 0xfe, SAMPLES = 301, APIC = 0xfee00000 };
enum { PING = 0x40, PONG = 0x41, TIMER = 0x42, SPURIOUS = 0xff };

extern u8 trampoline[], trampoline_end[], idt[];
extern u64 tables[];
extern void on_ping(void), on_pong(void), on_timer(void), on_other(void);
volatile u32 answers, second_is_up, second_works;
static volatile u64 turns;
static volatile u64 watched[512] __attribute__((aligned(4096))), other;
static u64 samples[SAMPLES];

static void out(unsigned short port, u8 value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static u8 in(unsigned short port) { u8 v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static u32 in32(unsigned short port) { u32 v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port)); return v; }
static u64 tsc(void) { u32 a, d; __asm__ volatile("lfence; rdtsc" : "=a"(a), "=d"(d)::"memory"); return (u64)d << 32 | a; }
static u32 cpuid(u32 leaf, u32 *c) { u32 a = leaf, b, d; *c = 0; __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(*c), "=d"(d)); return a; }
static void wrmsr(u32 msr, u64 v) { __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32))); }
static volatile u32 *apic(u32 offset) { return (volatile u32 *)(u64)(APIC + offset); }

static void put(char c) { while (!(in(SERIAL + 5) & 0x20)) { } out(SERIAL, c); }
static void print(const char *s) { while (*s) put(*s++); }
static void number(u64 v) { char t[24]; int n = 0; do t[n++] = '0' + v % 10; while (v /= 10); while (n) put(t[--n]); }

// Sorts the samples and prints the median; for what waits the mean, too.
static void report(const char *name, u64 times, int mean) {
    u64 sum = 0;
    for (int i = 1; i < SAMPLES; i++) for (int j = i; j && samples[j - 1] > samples[j]; j--) { u64 t = samples[j]; samples[j] = samples[j - 1]; samples[j - 1] = t; }
    for (int i = 0; i < SAMPLES; i++) sum += samples[i];
    print(name); put(' '); number(samples[SAMPLES / 2] / times); put('\n');
    if (mean) { print(name); print(".mean "); number(sum / SAMPLES / times); put('\n'); }
}

#define MEASURE(name, times, what) do { \
    for (int s = 0; s < SAMPLES; s++) { u64 t = tsc(); for (int k = 0; k < (times); k++) { what; } samples[s] = tsc() - t; } \
    report(name, times, 0); } while (0)

static void gate(int vector, void (*handler)(void)) {
    u64 at = (u64)handler, *entry = (u64 *)(idt + vector * 16);
    entry[0] = (at & 0xffff) | 8 << 16 | 0x8e00ul << 32 | (at >> 16 & 0xffff) << 48;
    entry[1] = at >> 32;
}

static void wait(u64 cycles) { for (u64 end = tsc() + cycles; tsc() < end;) { } }
static void command(u32 high, u32 low) { *apic(0x310) = high; *apic(0x300) = low; while (*apic(0x300) & 0x1000) { } }
static void apic_on(void) { *apic(0xf0) = 0x100 | SPURIOUS; *apic(0x80) = 0; }

void second_main(void) {
    apic_on();
    second_is_up = 1;
    for (;;) {
        __asm__ volatile("sti; hlt; cli");
        while (second_works) turns++;
    }
}

static void start_second(void) {
    for (u8 *from = trampoline, *to = (u8 *)0x8000; from < trampoline_end;) *to++ = *from++;
    command(1 << 24, 0x4500);
    wait(30000000);
    command(1 << 24, 0x4608);
    for (u64 end = tsc() + 3000000000ul; !second_is_up && tsc() < end;) { }
}

// From here to a halted CPU and back to this one, halted by then.
static void round_trips(void) {
    for (int s = 0; s < SAMPLES; s++) {
        wait(300000);                   // until the other one is halted
        u32 before = answers;
        u64 t = tsc();
        command(1 << 24, PING);
        for (;;) {
            __asm__ volatile("cli");
            if (answers != before) break;
            __asm__ volatile("sti; hlt");
        }
        __asm__ volatile("sti");
        samples[s] = tsc() - t;
    }
    report("ipi", 1, 1);
}

// A locked addition across two pages, for which the other CPU is held, while that one is at work.
static void exclusive(void) {
    static u8 pages[8192] __attribute__((aligned(4096)));
    second_works = 1;
    command(1 << 24, SPURIOUS - 1);
    for (u64 before = turns; turns == before;) { }
    MEASURE("exclusive", 1, __asm__ volatile("lock incl %0" : "+m"(*(u32 *)(pages + 4094))));
    second_works = 0;
}

// How late a halted CPU is woken by a timer that ends in about 400,000 cycles.
static void timer(void) {
    u32 c;
    cpuid(1, &c);
    int deadline = c >> 24 & 1;
    *apic(0x3e0) = 0xb;                 // divide by 1
    *apic(0x320) = TIMER | 0x10000;
    *apic(0x380) = 0xffffffff;
    u64 t = tsc();
    wait(20000000);
    u64 passed = 0xffffffffu - *apic(0x390), cycles = tsc() - t, span = 400000;
    *apic(0x380) = 0;
    *apic(0x320) = TIMER | (deadline ? 0x40000 : 0);
    for (int s = 0; s < SAMPLES; s++) {
        __asm__ volatile("cli");
        u64 end = tsc() + span;
        if (deadline) wrmsr(0x6e0, end);
        else *apic(0x380) = span * passed / cycles;
        __asm__ volatile("sti; hlt");
        u64 now = tsc();
        samples[s] = now > end ? now - end : 0;
    }
    report(deadline ? "deadline" : "timer", 1, 1);
}

// The same in a page of 4 KiB, as programs and kernels mostly have them, without code: 2 MiB at 6 MiB are mapped by such pages.
static void small_page(void) {
    static u64 pages[512] __attribute__((aligned(4096)));
    for (int i = 0; i < 512; i++) pages[i] = (0x600000 + i * 4096ul) | 0x67;
    tables[2 * 512 + 3] = (u64)pages | 0x67;
    u64 v;
    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(v)::"memory");
    MEASURE("invlpg.small", 20, __asm__ volatile("invlpg (%0)" ::"r"(0x601000ul)));
}

static void loops(const char *plain, const char *stores, volatile u64 *to) {
    MEASURE(plain, 1000, __asm__ volatile("add $1, %%eax" ::: "eax"));
    MEASURE(stores, 1000, *to = k);
}

static void arm(void *what, u64 control) { __asm__ volatile("mov %0, %%dr0; mov %1, %%dr7" ::"r"(what), "r"(control | 0x400)); }

// What is watched is never hit; ".near": it is in the page that is stored to, or that runs.
static void armed(void) {
    loops("loop", "loop.store", &other);
    arm((void *)watched, 2 | 0xdul << 16); // stores to 4 bytes
    loops("armed", "armed.store", &other);
    MEASURE("armed.near", 100, watched[1] = k);
    arm((void *)trampoline_end, 2);         // an instruction
    loops("armed.code", "armed.code.store", &other);
    arm((void *)&armed, 2);
    MEASURE("armed.code.near", 100, __asm__ volatile("add $1, %%eax" ::: "eax"));
    arm(0, 0);
}

void main(void) {
    u64 cr0, cr4, v;
    u32 c;
    for (int i = 0; i < 256; i++) gate(i, on_other);
    gate(PING, on_ping); gate(PONG, on_pong); gate(TIMER, on_timer); gate(SPURIOUS - 1, on_timer);
    out(0x21, 0xff); out(0xa1, 0xff);
    apic_on();
    start_second();
    __asm__ volatile("sti");
    MEASURE("cpuid", 20, cpuid(0, &c));
    MEASURE("cr8", 20, __asm__ volatile("mov %0, %%cr8" ::"r"((u64)(k & 1))));
    MEASURE("in", 20, in32(PM_TIMER));
    MEASURE("apic", 20, (void)*apic(0x80));
    MEASURE("apic.store", 20, *apic(0x80) = 0);
    MEASURE("msr", 20, wrmsr(0xc0000102, k));
    MEASURE("cli", 20, __asm__ volatile("cli; sti"));
    __asm__ volatile("mov %%cr0, %0; mov %%cr4, %1" : "=r"(cr0), "=r"(cr4));
    MEASURE("wp", 4, __asm__ volatile("mov %0, %%cr0; mov %1, %%cr0" ::"r"(cr0 ^ 0x10000), "r"(cr0)));
    MEASURE("pge", 4, __asm__ volatile("mov %0, %%cr4; mov %1, %%cr4" ::"r"(cr4 ^ 0x80), "r"(cr4)));
    MEASURE("cr3", 4, __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(v)::"memory"));
    MEASURE("invlpg", 20, __asm__ volatile("invlpg (%0)" ::"r"(&other)));
    small_page();
    armed();
    timer();
    if (second_is_up) {
        round_trips();
        exclusive();
    }
    print("END\n");
    out(KEYBOARD, RESET);
    for (;;) __asm__ volatile("cli; hlt");
}
