// The least that a KVM exit for a port write costs: one vCPU in real mode, one write after the other, a counter. Prints
// nanoseconds a write. The same guest as Program.cs runs.
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

static void require(int result, const char *what)
{
	if (result >= 0)
		return;
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	static const unsigned char code[] = { 0xe6, 0x80, 0xeb, 0xfc }; // out 0x80, al; jmp back
	long writes = argc > 1 ? atol(argv[1]) : 100000, counted = 0;
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, vcpu;
	require(kvm, "/dev/kvm");
	require(vm = ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	char *memory = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(memory + 0x1000, code, sizeof code);
	struct kvm_userspace_memory_region region = { .memory_size = 1 << 20, .userspace_addr = (unsigned long)memory };
	require(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	require(vcpu = ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	struct kvm_run *run = mmap(0, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	struct kvm_sregs sregs;
	require(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = sregs.cs.selector = 0;
	require(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };
	require(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	double start = 0;
	while (counted < writes) {
		require(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
		if (run->exit_reason != KVM_EXIT_IO || run->io.port != 0x80)
			return 1;
		if (++counted == writes / 4)
			start = now();
	}
	printf("%.0f\n", (now() - start) / (writes - writes / 4));
	return 0;
}
