// Guests that go back to real mode, as some boot loaders and hypervisors do, and ask a BIOS: it is not there and says so. One is
// interrupted there by the timer. Where something is not as it should be, the guest ends the machine with the check's number.
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Hostile;

public sealed class RealModeTests
{
    // The segment of the 16-bit code and its stacks; where the CPUs count themselves in it.
    private const ushort Segment = 0x7000, Untouched = 0x7FE0, Arrived = 0x7FF0, Done = 0x7FF4, StackEnd = 0x9000;
    private const uint CommandRegister = 0xFEE0_0300, InitOthers = 0xC_4500, StartOthers = 0xC_4600 | Segment >> 8;
    private const byte Success = 0x40;

    // An IRET alone keeps the caller's carry: exceptions, the 8259 pair's vectors, and those that belong to nobody.
    // (Where the host's kernel emulates real mode, it cannot do INT 80h and above.)
    private static readonly byte[] s_ignored = [0x00, 0x03, 0x06, 0x08, 0x0D, 0x0F, 0x20, 0x21, 0x2F, 0x67, 0x70, 0x77, 0x7F];
    private static readonly byte[] s_refused = [0x10, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1F];

    [Fact]
    public async Task Each_service_of_a_BIOS_is_refused_and_its_caller_goes_on()
    {
        var result = await GuestRun.RunAsync(Kernel(cpus: 1, Services(new Code(0))));

        Assert.Equal((MachineEnd.DebugExit, GuestRun.CodeOf(Success)), (result.End, result.DebugExitCode));
    }

    [Fact]
    public async Task Application_processors_have_the_same_vectors()
    {
        var result = await GuestRun.RunAsync(Kernel(cpus: 2, Services(new Code(0))), spec => spec with { Cpus = 2, Timeout = null });

        Assert.Equal((MachineEnd.DebugExit, GuestRun.CodeOf(Success)), (result.End, result.DebugExitCode));
    }

    [Fact]
    public async Task The_timer_may_interrupt_real_mode()
    {
        var code = Begin(new Code(0))
            .Raw(0xB0, 0x11, 0xE6, 0x20, 0xB0, 0x08, 0xE6, 0x21)            // ICW1, vectors from 8 on
            .Raw(0xB0, 0x04, 0xE6, 0x21, 0xB0, 0x01, 0xE6, 0x21)            // ICW3, ICW4
            .Raw(0xB0, 0xFE, 0xE6, 0x21)                                    // the timer alone
            .Raw(0xB0, 0x34, 0xE6, 0x43, 0xB0, 0x00, 0xE6, 0x40, 0xB0, 0x10, 0xE6, 0x40)
            // Whoever runs through zeros on the way adds AL, which is not 0, to what BX and SI point to.
            .Raw(0xBB, Untouched & 0xFF, Untouched >> 8, 0x31, 0xF6)        // mov bx, Untouched; xor si, si
            .Raw(0xFB, 0xF4, 0xFA)                                          // sti; hlt; cli
            .Raw(0x80, 0x3E, Untouched & 0xFF, Untouched >> 8, 0x00)        // cmp byte [Untouched], 0
            .Raw(0xB3, 2).To([0x66, 0x0F, 0x85], "wrong")
            .Raw(0xB0, 0x0B, 0xE6, 0x20, 0xE4, 0x20, 0x3C, 0x01)            // OCW3; in al, 20h; cmp al, 1: it is in service
            .Raw(0xB3, 1).To([0x66, 0x0F, 0x85], "wrong");

        var result = await GuestRun.RunAsync(Kernel(cpus: 1, End(code, cpus: 1)));

        Assert.Equal((MachineEnd.DebugExit, GuestRun.CodeOf(Success)), (result.End, result.DebugExitCode));
    }

    // Each check's number stands in BL before it is made.
    private static Code Services(Code code)
    {
        byte number = 0;
        Code Next() => code.Raw(0xB3, ++number);
        Begin(code);
        foreach (var vector in s_ignored)
        {
            Next().Raw(0xF9, 0xCD, vector).To([0x66, 0x0F, 0x83], "wrong");     // stc; int; jnc
            Next().Raw(0xF8, 0xCD, vector).To([0x66, 0x0F, 0x82], "wrong");     // clc; int; jc
        }
        foreach (var vector in s_refused)
            Next().Raw(0xB8, 0x00, 0x4F, 0xF8, 0xCD, vector).To([0x66, 0x0F, 0x83], "wrong");
        // No VBE: AL is not 4Fh. No sector: status 1. No map: 86h, and EAX is not "SMAP". No key waits. No PCI BIOS.
        Next().Raw(0xB8, 0x00, 0x4F, 0xCD, 0x10, 0x3C, 0x4F).To([0x66, 0x0F, 0x84], "wrong");
        Next().Raw(0xB8, 0x01, 0x02, 0xCD, 0x13, 0x80, 0xFC, 0x01).To([0x66, 0x0F, 0x85], "wrong");
        Next().Raw(0x66, 0xB8, 0x20, 0xE8, 0, 0, 0xCD, 0x15, 0x80, 0xFC, 0x86).To([0x66, 0x0F, 0x85], "wrong");
        Next().Raw(0xB4, 0x01, 0x84, 0xE4, 0xCD, 0x16).To([0x66, 0x0F, 0x85], "wrong");
        Next().Raw(0xB8, 0x01, 0xB1, 0xF8, 0xCD, 0x1A).To([0x66, 0x0F, 0x83], "wrong");
        // Equipment and conventional memory have no way to say no.
        Next().Raw(0xCD, 0x11, 0x3D, 0x02, 0x02).To([0x66, 0x0F, 0x85], "wrong");
        Next().Raw(0xCD, 0x12, 0x3D, 0x7F, 0x02).To([0x66, 0x0F, 0x85], "wrong");
        // BP, DS and SP are the caller's.
        Next().Raw(0x81, 0xFD, 0x34, 0x12).To([0x66, 0x0F, 0x85], "wrong");
        Next().Raw(0x8C, 0xD8, 0x3D, 0x00, 0x70).To([0x66, 0x0F, 0x85], "wrong");
        return code;
    }

    // Real mode, as a start-up leaves it: DS, ES and SS are the code's, and each CPU has a stack of its own. The first to arrive is 0.
    private static Code Begin(Code code) => code
        .Raw(0xFA, 0x8C, 0xC8, 0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xD0)              // cli; ds = es = ss = cs
        .Raw(0xB8, 0x01, 0x00, 0xF0, 0x0F, 0xC1, 0x06, Arrived & 0xFF, Arrived >> 8) // mov ax, 1; lock xadd [Arrived], ax
        .Raw(0xC1, 0xE0, 0x0C, 0x05, StackEnd & 0xFF, StackEnd >> 8)            // shl ax, 12; add ax, StackEnd
        .Raw(0x89, 0xC4, 0xBD, 0x34, 0x12);                                     // mov sp, ax; mov bp, 1234h

    private static byte[] End(Code code, int cpus) => code
        .Raw(0xF0, 0xFF, 0x06, Done & 0xFF, Done >> 8)                          // lock inc word [Done]
        .Label("wait")
        .Raw(0xF3, 0x90, 0x83, 0x3E, Done & 0xFF, Done >> 8, (byte)cpus)        // pause; cmp word [Done], cpus
        .To([0x66, 0x0F, 0x85], "wait")
        .Raw(0xB3, Success)
        .Label("wrong")
        .Raw(0x88, 0xD8, 0xE6, (byte)TestKernels.DebugExitPort, 0xF4, 0xEB, 0xFD)     // mov al, bl; out F4h, al; hlt
        .ToArray();

    private static byte[] Kernel(int cpus, Code services) => Kernel(cpus, End(services, cpus));

    // The others are started at the same place.
    private static byte[] Kernel(int cpus, byte[] real) => RealModeKernel.Make(Segment, real, code =>
    {
        if (cpus > 1) code.With32([0xB8], CommandRegister).With32([0xC7, 0x00], InitOthers).With32([0xC7, 0x00], StartOthers);
    });
}
