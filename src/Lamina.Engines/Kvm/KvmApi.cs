// The kernel's interface to hardware virtualization: requests, capabilities and structures with the names of linux/kvm.h and
// asm/kvm.h (x86-64), as far as the engine uses them. Linux Documentation/virt/kvm/api.rst says what each does.
using System.Runtime.InteropServices;

namespace Lamina.Engines.Kvm;

/// <summary>Constants of the interface.</summary>
internal static class KvmApi
{
    internal const int KVM_API_VERSION = 12;

    internal const nuint KVM_GET_API_VERSION = 0xae00, KVM_CREATE_VM = 0xae01, KVM_CHECK_EXTENSION = 0xae03, KVM_GET_VCPU_MMAP_SIZE = 0xae04;
    internal const nuint KVM_GET_SUPPORTED_CPUID = 0xc008ae05, KVM_GET_MSRS = 0xc008ae88, KVM_SET_MSRS = 0x4008ae89;
    internal const nuint KVM_CREATE_VCPU = 0xae41, KVM_GET_DIRTY_LOG = 0x4010ae42, KVM_RESET_DIRTY_RINGS = 0xaec7, KVM_SET_USER_MEMORY_REGION = 0x4020ae46;
    internal const nuint KVM_SET_TSS_ADDR = 0xae47, KVM_SET_IDENTITY_MAP_ADDR = 0x4008ae48, KVM_X86_SET_MSR_FILTER = 0x4188aec6;
    internal const nuint KVM_RUN = 0xae80, KVM_GET_REGS = 0x8090ae81, KVM_SET_REGS = 0x4090ae82, KVM_GET_SREGS = 0x8138ae83, KVM_SET_SREGS = 0x4138ae84;
    internal const nuint KVM_TRANSLATE = 0xc018ae85, KVM_INTERRUPT = 0x4004ae86, KVM_SET_CPUID2 = 0x4008ae90, KVM_NMI = 0xae9a, KVM_SET_GUEST_DEBUG = 0x4048ae9b;
    internal const nuint KVM_GET_VCPU_EVENTS = 0x8040ae9f, KVM_SET_VCPU_EVENTS = 0x4040aea0, KVM_GET_DEBUGREGS = 0x8080aea1, KVM_SET_DEBUGREGS = 0x4080aea2;
    internal const nuint KVM_ENABLE_CAP = 0x4068aea3, KVM_GET_XSAVE = 0x9000aea4, KVM_SET_XSAVE = 0x5000aea5, KVM_GET_XCRS = 0x8188aea6, KVM_SET_XCRS = 0x4188aea7;
    internal const nuint KVM_IOEVENTFD = 0x4040ae79, KVM_CREATE_IRQCHIP = 0xae60, KVM_IRQ_LINE = 0x4008ae61, KVM_GET_IRQCHIP = 0xc208ae62, KVM_SET_IRQCHIP = 0x8208ae63;
    internal const nuint KVM_SET_GSI_ROUTING = 0x4008ae6a, KVM_SIGNAL_MSI = 0x4020aea5, KVM_GET_LAPIC = 0x8400ae8e, KVM_SET_LAPIC = 0x4400ae8f;
    internal const nuint KVM_GET_MP_STATE = 0x8004ae98, KVM_SET_MP_STATE = 0x4004ae99;
    internal const nuint KVM_SET_DEVICE_ATTR = 0x4018aee1, KVM_HAS_DEVICE_ATTR = 0x4018aee3;

    internal const int KVM_CAP_IRQCHIP = 0, KVM_CAP_USER_MEMORY = 3, KVM_CAP_NR_MEMSLOTS = 10, KVM_CAP_SET_GUEST_DEBUG = 23, KVM_CAP_VCPU_EVENTS = 41, KVM_CAP_DEBUGREGS = 50;
    internal const int KVM_CAP_XSAVE = 55, KVM_CAP_XCRS = 56, KVM_CAP_MAX_VCPUS = 66, KVM_CAP_IMMEDIATE_EXIT = 136;
    internal const int KVM_CAP_MP_STATE = 14, KVM_CAP_IRQ_ROUTING = 25, KVM_CAP_IOEVENTFD = 36, KVM_CAP_SIGNAL_MSI = 77, KVM_CAP_SPLIT_IRQCHIP = 121;
    internal const nuint KVM_GET_SREGS2 = 0x8140aecc, KVM_SET_SREGS2 = 0x4140aecd;
    internal const int KVM_CAP_SREGS2 = 200;
    internal const int KVM_CAP_READONLY_MEM = 81;
    internal const ulong KVM_SREGS2_FLAGS_PDPTRS_VALID = 1;
    internal const int KVM_CAP_DIRTY_LOG_RING = 192, KVM_CAP_DIRTY_LOG_RING_ACQ_REL = 223;
    internal const int KVM_CAP_X86_USER_SPACE_MSR = 188, KVM_CAP_X86_MSR_FILTER = 189;

    internal const uint KVM_EXIT_IO = 2, KVM_EXIT_DEBUG = 4, KVM_EXIT_HLT = 5, KVM_EXIT_MMIO = 6, KVM_EXIT_IRQ_WINDOW_OPEN = 7, KVM_EXIT_SHUTDOWN = 8;
    internal const uint KVM_EXIT_FAIL_ENTRY = 9, KVM_EXIT_INTR = 10, KVM_EXIT_SET_TPR = 11, KVM_EXIT_INTERNAL_ERROR = 17, KVM_EXIT_IOAPIC_EOI = 26, KVM_EXIT_X86_RDMSR = 29, KVM_EXIT_X86_WRMSR = 30, KVM_EXIT_DIRTY_RING_FULL = 31;
    internal const byte KVM_EXIT_IO_IN = 0;
    internal const uint KVM_INTERNAL_ERROR_EMULATION = 1;

    internal const uint KVM_MSR_EXIT_REASON_INVAL = 1, KVM_MSR_EXIT_REASON_UNKNOWN = 2, KVM_MSR_EXIT_REASON_FILTER = 4;
    internal const uint KVM_MSR_FILTER_READ = 1, KVM_MSR_FILTER_WRITE = 2, KVM_MSR_FILTER_DEFAULT_DENY = 1;
    internal const int KVM_MSR_FILTER_MAX_RANGES = 16;

    internal const uint KVM_DIRTY_GFN_F_DIRTY = 1, KVM_DIRTY_GFN_F_RESET = 2, KVM_DIRTY_LOG_PAGE_OFFSET = 64;
    internal const uint KVM_MEM_LOG_DIRTY_PAGES = 1, KVM_MEM_READONLY = 2, KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1;
    internal const uint KVM_VCPUEVENT_VALID_NMI_PENDING = 1, KVM_VCPUEVENT_VALID_SHADOW = 4;
    internal const byte KVM_X86_SHADOW_INT_MOV_SS = 1, KVM_X86_SHADOW_INT_STI = 2;
    internal const uint KVM_GUESTDBG_ENABLE = 1, KVM_GUESTDBG_SINGLESTEP = 2, KVM_GUESTDBG_USE_HW_BP = 0x2_0000, KVM_GUESTDBG_INJECT_DB = 0x4_0000, KVM_GUESTDBG_BLOCKIRQ = 0x10_0000;
    internal const uint KVM_VCPU_TSC_CTRL = 0, KVM_IRQ_ROUTING_IRQCHIP = 1, KVM_IRQ_ROUTING_MSI = 2, KVM_IOEVENTFD_FLAG_DATAMATCH = 1;
    internal const uint KVM_MP_STATE_RUNNABLE = 0, KVM_MP_STATE_UNINITIALIZED = 1, KVM_MP_STATE_INIT_RECEIVED = 2, KVM_MP_STATE_HALTED = 3;
    internal const ulong KVM_VCPU_TSC_OFFSET = 0;
    internal const uint KVM_IRQCHIP_PIC_MASTER = 0, KVM_IRQCHIP_PIC_SLAVE = 1, KVM_IRQCHIP_IOAPIC = 2;
}

/// <summary>The head of struct kvm_run, the memory that a vCPU shares with the kernel; what follows at 32 depends on the exit.</summary>
[StructLayout(LayoutKind.Explicit)]
internal struct kvm_run
{
    [FieldOffset(0)] public byte request_interrupt_window;
    [FieldOffset(1)] public byte immediate_exit;
    [FieldOffset(8)] public uint exit_reason;
    [FieldOffset(12)] public byte ready_for_interrupt_injection;
    [FieldOffset(13)] public byte if_flag;
    [FieldOffset(16)] public ulong cr8;
    [FieldOffset(24)] public ulong apic_base;

    [FieldOffset(32)] public kvm_run_io io;
    [FieldOffset(32)] public kvm_run_mmio mmio;
    [FieldOffset(32)] public kvm_run_msr msr;
    [FieldOffset(32)] public kvm_run_debug debug;
    [FieldOffset(32)] public kvm_run_fail_entry fail_entry;
    [FieldOffset(32)] public kvm_run_eoi eoi;
    [FieldOffset(32)] public kvm_run_internal @internal;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_run_io
{
    public byte direction, size;
    public ushort port;
    public uint count;
    public ulong data_offset;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_run_mmio
{
    public ulong phys_addr;
    public fixed byte data[8];
    public uint len;
    public byte is_write;
}

[StructLayout(LayoutKind.Explicit)]
internal struct kvm_run_msr
{
    [FieldOffset(0)] public byte error;
    [FieldOffset(8)] public uint reason;
    [FieldOffset(12)] public uint index;
    [FieldOffset(16)] public ulong data;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_run_debug
{
    public uint exception, pad;
    public ulong pc, dr6, dr7;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_run_fail_entry
{
    public ulong hardware_entry_failure_reason;
    public uint cpu;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_run_eoi
{
    public byte vector;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_run_internal
{
    public uint suberror, ndata;
    public fixed ulong data[16];
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_regs
{
    public ulong rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_segment
{
    public ulong @base;
    public uint limit;
    public ushort selector;
    public byte type, present, dpl, db, s, l, g, avl, unusable, padding;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_dtable
{
    public ulong @base;
    public ushort limit, padding0, padding1, padding2;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_sregs
{
    public kvm_segment cs, ds, es, fs, gs, ss, tr, ldt;
    public kvm_dtable gdt, idt;
    public ulong cr0, cr2, cr3, cr4, cr8, efer, apic_base;
    public fixed ulong interrupt_bitmap[4];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_sregs2
{
    public kvm_segment cs, ds, es, fs, gs, ss, tr, ldt;
    public kvm_dtable gdt, idt;
    public ulong cr0, cr2, cr3, cr4, cr8, efer, apic_base, flags;
    public fixed ulong pdptrs[4];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_debugregs
{
    public fixed ulong db[4];
    public ulong dr6, dr7, flags;
    public fixed ulong reserved[9];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_xsave
{
    public fixed byte region[4096];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_xcrs
{
    public uint nr_xcrs, flags;
    public uint xcr, reserved;
    public ulong value;
    public fixed ulong others[30 + 16];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_vcpu_events
{
    public byte exception_injected, exception_nr, exception_has_error_code, exception_pending;
    public uint exception_error_code;
    public byte interrupt_injected, interrupt_nr, interrupt_soft, interrupt_shadow;
    public byte nmi_injected, nmi_pending, nmi_masked, nmi_pad;
    public uint sipi_vector, flags;
    public fixed byte rest[40];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_guest_debug
{
    public uint control, pad;
    public fixed ulong debugreg[8];
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_translation
{
    public ulong linear_address, physical_address;
    public byte valid, writeable, usermode;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_userspace_memory_region
{
    public uint slot, flags;
    public ulong guest_phys_addr, memory_size, userspace_addr;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_dirty_log
{
    public uint slot, padding;
    public ulong dirty_bitmap;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_dirty_gfn
{
    public uint flags, slot;
    public ulong offset;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_enable_cap
{
    public uint cap, flags;
    public fixed ulong args[4];
    public fixed byte pad[64];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_msr_filter_range
{
    public uint flags, nmsrs, @base;
    public byte* bitmap;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_msr_entry
{
    public uint index, reserved;
    public ulong data;
}

/// <summary>Struct kvm_msrs with room for one entry.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct kvm_msrs
{
    public uint nmsrs, pad;
    public kvm_msr_entry entry;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_cpuid_entry2
{
    public uint function, index, flags, eax, ebx, ecx, edx;
    public fixed uint padding[3];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_lapic_state
{
    public fixed byte regs[1024];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_ioeventfd
{
    public ulong datamatch, addr;
    public uint len;
    public int fd;
    public uint flags;
    public fixed byte pad[36];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_msi
{
    public uint address_lo, address_hi, data, flags, devid;
    public fixed byte pad[12];
}

/// <summary>Struct kvm_irq_routing_entry of a message, or of a controller's input.</summary>
[StructLayout(LayoutKind.Explicit, Size = 48)]
internal struct kvm_irq_routing_entry
{
    [FieldOffset(0)] public uint gsi;
    [FieldOffset(4)] public uint type;
    [FieldOffset(16)] public uint address_lo;
    [FieldOffset(20)] public uint address_hi;
    [FieldOffset(24)] public uint data;
    [FieldOffset(16)] public uint irqchip;
    [FieldOffset(20)] public uint pin;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_irq_level
{
    public uint irq, level;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_pic_state
{
    public byte last_irr, irr, imr, isr, priority_add, irq_base, read_reg_select, poll, special_mask, init_state;
    public byte auto_eoi, rotate_on_auto_eoi, special_fully_nested_mode, init4, elcr, elcr_mask;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct kvm_ioapic_state
{
    public ulong base_address;
    public uint ioregsel, id, irr, pad;
    public fixed ulong redirtbl[24];
}

[StructLayout(LayoutKind.Explicit, Size = 520)]
internal struct kvm_irqchip
{
    [FieldOffset(0)] public uint chip_id;
    [FieldOffset(8)] public kvm_pic_state pic;
    [FieldOffset(8)] public kvm_ioapic_state ioapic;
}

[StructLayout(LayoutKind.Sequential)]
internal struct kvm_device_attr
{
    public uint flags, group;
    public ulong attr, addr;
}
