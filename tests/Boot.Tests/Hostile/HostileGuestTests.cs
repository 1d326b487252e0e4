// Guests that do one hostile or odd thing each. Whatever it is, the machine ends in an orderly way: as the guest's CPU
// would (triple fault), by the guest's own exit, or stopped from outside; never by a failure of the VMM.
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Hostile;

public sealed class HostileGuestTests
{
    private const uint Free = 0x100_0000;
    private const byte Done = 7;

    public static TheoryData<ulong> OddAddresses =>
    [
        0, 1, 0xFFF, 0x9000, 0xF_FFFF, GuestRun.Memory - 1, GuestRun.Memory, GuestRun.Memory - 0x1000, 0xBFFF_FFFF, 0xC000_0000, 0xFEB0_0000, 0xFEB0_0FFF, 0xFEC0_0000,
        0xFEC0_0FF0, 0xFEE0_0000, 0xFEE0_00B0, 0xFEE0_0FFE, 0xFFFF_FFFF, 0x1_0000_0000, 0x7FFF_FFFF_FFFF, 0x8000_0000_0000, 0xFFFF_8000_0000_0000, ulong.MaxValue,
    ];

    [Theory]
    [MemberData(nameof(OddAddresses))]
    public async Task A_jump_to_nowhere_ends_orderly(ulong address)
    {
        var result = await GuestRun.RunAsync(TestKernels.Long(new Code(TestKernels.Origin).With64([0x48, 0xB8], address).Raw(0xFF, 0xE0)));

        Assert.Contains(result.End, (MachineEnd[])[MachineEnd.TripleFault, MachineEnd.TimedOut, MachineEnd.Reset]);
    }

    [Theory]
    [MemberData(nameof(OddAddresses))]
    public async Task A_32_bit_jump_and_a_stack_at_an_odd_address_end_orderly(ulong address)
    {
        var code = new Code(TestKernels.Origin).With32([0xBC], (uint)address).Raw(0x60, 0x9C, 0x50).With32([0xB8], (uint)address).Raw(0xFF, 0xE0);

        var result = await GuestRun.RunAsync(TestKernels.Protected(code));

        Assert.Contains(result.End, (MachineEnd[])[MachineEnd.TripleFault, MachineEnd.TimedOut, MachineEnd.Reset]);
    }

    [Theory]
    [InlineData(new byte[] { 0xF3, 0x48, 0xAB }, 8)]    // rep stosq
    [InlineData(new byte[] { 0xF3, 0xAA }, 1)]          // rep stosb
    public async Task A_guest_may_fill_all_its_memory(byte[] store, uint size)
    {
        GuestRun.SkipWhereSoftwareAssisted();
        var code = new Code(TestKernels.Origin).With64([0x48, 0xBF], Free).With64([0x48, 0xB9], (GuestRun.Memory - Free) / size)
            .With64([0x48, 0xB8], 0xA5A5_5A5A_A5A5_5A5A).Raw(0xFC).Raw(store).Exit(Done);

        var result = await GuestRun.RunAsync(TestKernels.Long(code), spec => spec with { Timeout = TimeSpan.FromSeconds(30) });

        Assert.Equal(GuestRun.CodeOf(Done), result.DebugExitCode);
    }

    [Fact]
    public async Task A_guest_may_overwrite_all_of_its_first_4_GiB_itself_included()
    {
        var code = new Code(TestKernels.Origin).Raw(0x31, 0xFF).With64([0x48, 0xB9], 0x2000_0000).With64([0x48, 0xB8], 0xFFFF_FFFF_FFFF_FFFF).Raw(0xFC, 0xF3, 0x48, 0xAB).Exit(Done);

        Assert.NotEqual(MachineEnd.Failed, (await GuestRun.RunAsync(TestKernels.Long(code))).End);
    }

    [Theory]
    [InlineData(0x1000)]
    [InlineData(0x30_0000)]
    public async Task Null_descriptor_tables_and_an_exception_are_a_triple_fault(uint pointer)
    {
        var code = new Code(TestKernels.Origin).With32([0x0F, 0x01, 0x1C, 0x25], pointer).Raw(0x0F, 0x0B);

        Assert.Equal(MachineEnd.TripleFault, (await GuestRun.RunAsync(TestKernels.Long(code, (0x30_0000, new byte[16])))).End);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Triple_faults_and_resets_in_a_loop_start_the_guest_again_and_again_until_it_is_stopped(bool fault)
    {
        var code = new Code(TestKernels.Origin);
        if (fault) code.Raw(0x0F, 0x0B);
        else code.Out8(0x64, 0xFE).Raw(0xEB, 0xFE);
        using var file = new KernelFile(TestKernels.Long(code));
        await using var machine = Machine.Create(GuestRun.Spec(file.Path) with { NoReboot = false });

        var result = await machine.RunAsync(TestContext.Current.CancellationToken);

        Assert.Equal(MachineEnd.TimedOut, result.End);
        Assert.True(machine.Count("machine_resets") > 3);
    }

    public static TheoryData<string, byte[]> Endless => new()
    {
        { "a loop with interrupts off", [0xFA, 0xEB, 0xFE] },
        { "a long loop with interrupts off", [0xFA, 0x48, 0xFF, 0xC0, 0x75, 0xFB, 0xEB, 0xF9] },
        { "a halt with interrupts off", [0xFA, 0xF4, 0xEB, 0xFD] },
        { "a halt with interrupts on", [0xFB, 0xF4, 0xEB, 0xFC] },
        { "calls and returns", [0xE8, 0x00, 0x00, 0x00, 0x00, 0x58, 0xEB, 0xF8] },
        { "an indirect jump to itself", [0x48, 0x8D, 0x05, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xE0] },
        { "LOOP with RCX endless", [0xE2, 0xFE, 0xEB, 0xFC] },
        { "REP STOSB of all addresses over one page of MMIO", [0xBF, 0x00, 0x00, 0xB0, 0xFE, 0x48, 0x31, 0xC9, 0x48, 0xFF, 0xC9, 0xFD, 0xF3, 0xAA, 0xEB, 0xFE] },
        { "REP LODSB without end", [0xBE, 0x00, 0x00, 0x00, 0x01, 0x48, 0x31, 0xC9, 0x48, 0xFF, 0xC9, 0xFC, 0xF3, 0xAC, 0xEB, 0xFE] },
        { "reads of a port", [0xE4, 0x60, 0xEB, 0xFC] },
        { "REP INSB without end", [0xBF, 0x00, 0x00, 0x00, 0x01, 0x66, 0xBA, 0x60, 0x00, 0x48, 0x31, 0xC9, 0x48, 0xFF, 0xC9, 0xF3, 0x6C, 0xEB, 0xFE] },
        { "writes of the serial port", [0x66, 0xBA, 0xF8, 0x03, 0xB0, 0x58, 0xEE, 0xEB, 0xFD] },
        { "PAUSE", [0xF3, 0x90, 0xEB, 0xFC] },
        { "a CR3 load in a loop", [0x0F, 0x20, 0xD8, 0x0F, 0x22, 0xD8, 0xEB, 0xF8] },
        { "a loop that changes its own code", [0xC6, 0x05, 0x01, 0x00, 0x00, 0x00, 0x90, 0x90, 0xEB, 0xF6] },
        { "a store over the next instruction's bytes, each time others", [0x48, 0xFF, 0xC0, 0x24, 0x07, 0x88, 0x05, 0x01, 0x00, 0x00, 0x00, 0xB3, 0x00, 0xEB, 0xF1] },
    };

    [Theory]
    [MemberData(nameof(Endless))]
    public async Task An_endless_guest_is_stopped_at_once(string what, byte[] code)
    {
        using var file = new KernelFile(TestKernels.Long(new Code(TestKernels.Origin).Raw(code)));
        await using var machine = Machine.Create(GuestRun.Spec(file.Path) with { Timeout = null });
        var run = machine.RunAsync(TestContext.Current.CancellationToken);
        await Task.Delay(300, TestContext.Current.CancellationToken);
        Assert.False(run.IsCompleted, $"{what} ended: {(run.IsCompleted ? await run : null)}");

        var stopping = TimeProvider.System.GetTimestamp();
        await machine.StopAsync(TestContext.Current.CancellationToken);

        Assert.Equal(MachineEnd.Stopped, (await run).End);
        Assert.InRange(TimeProvider.System.GetElapsedTime(stopping).TotalSeconds, 0, 10);
    }

    [Fact]
    public async Task Page_tables_that_point_to_themselves_end_orderly()
    {
        // Every entry of the one table points to the table: all levels and the code's page are the table.
        var table = new byte[4096];
        for (var entry = 0; entry < 512; entry++) TestKernels.U64(table, entry * 8, 0x30_0000 | 7);
        var code = new Code(TestKernels.Origin).With32([0xB8], 0x30_0000).Raw(0x0F, 0x22, 0xD8).Exit(Done);

        Assert.NotEqual(MachineEnd.Failed, (await GuestRun.RunAsync(TestKernels.Long(code, (0x30_0000, table)))).End);
    }

    [Theory]
    [InlineData(0xFEE0_0000)]
    [InlineData(0xFEC0_0000)]
    [InlineData(0xFEB0_0000)]
    [InlineData(0xC000_0000)]
    [InlineData(GuestRun.Memory)]
    [InlineData(GuestRun.Memory - 0x1000)]
    [InlineData(0xF_FFFF_FFFF_F000)]
    public async Task Page_tables_anywhere_end_orderly(ulong address)
    {
        var code = new Code(TestKernels.Origin).With64([0x48, 0xB8], address).Raw(0x0F, 0x22, 0xD8).Exit(Done);

        Assert.NotEqual(MachineEnd.Failed, (await GuestRun.RunAsync(TestKernels.Long(code))).End);
    }

    [Theory]
    [InlineData(0xFEE0_0000)]
    [InlineData(0xFEC0_0000)]
    [InlineData(0xFEB0_0000)]
    [InlineData(0xC000_0000)]
    [InlineData(GuestRun.Memory - 8)]
    [InlineData(0xFFFF_FFFF_FFFF_FFF8)]
    public async Task Descriptor_tables_and_task_state_anywhere_end_orderly(ulong address)
    {
        var pointer = new byte[16];
        TestKernels.U16(pointer, 0, 0xFFFF);
        TestKernels.U64(pointer, 2, address);
        foreach (var load in (byte[][])[[0x0F, 0x01, 0x14, 0x25], [0x0F, 0x01, 0x1C, 0x25]])
        {
            // A GDT or IDT there; then segment loads, a task register, a far return, an interrupt and a fault.
            var code = new Code(TestKernels.Origin).With32(load, 0x30_0000)
                .Raw(0xB8, 0x20, 0x00, 0x00, 0x00, 0x0F, 0x00, 0xD8, 0xB8, 0x18, 0x00, 0x00, 0x00, 0x8E, 0xD8, 0x0F, 0x00, 0xD0, 0xCD, 0x20)
                .Raw(0x6A, 0x10, 0x68, 0x00, 0x00, 0x20, 0x00, 0x48, 0xCB);

            Assert.NotEqual(MachineEnd.Failed, (await GuestRun.RunAsync(TestKernels.Long(code, (0x30_0000, pointer)))).End);
        }
    }

    [Theory]
    [InlineData(0xFEB0_0000)]
    [InlineData(0xC000_0000)]
    [InlineData(GuestRun.Memory - 0x10)]
    [InlineData(0x0000_0000)]
    public async Task A_task_switch_to_garbage_ends_orderly(uint address)
    {
        // 32-bit: a TSS descriptor at selector 8 with a base of choice, loaded and jumped to, called and returned from.
        var gdt = new byte[0x40];
        TestKernels.U64(gdt, 0x08, 0x0000_8900_0000_0067 | ((ulong)(address & 0xFF_FFFF) << 16) | ((ulong)(address >> 24) << 56));
        TestKernels.U64(gdt, 0x10, 0x00CF_9B00_0000_FFFF);
        TestKernels.U64(gdt, 0x18, 0x00CF_9300_0000_FFFF);
        TestKernels.U64(gdt, 0x20, 0x0000_8900_0040_0067);
        TestKernels.U64(gdt, 0x28, 0x0000_8500_0008_0000);
        foreach (var transfer in (byte[])[0xEA, 0x9A])
        {
            // The GDT lies behind the code, at a fixed distance.
            const uint at = TestKernels.Origin + 0x100;
            var guest = new Code(TestKernels.Origin).With32([0x0F, 0x01, 0x15], at).With32([0xB8], 0x20).Raw(0x0F, 0x00, 0xD8)
                .With32([transfer], 0).Raw(0x08, 0x00).Exit(Done);
            guest.Raw(new byte[at - guest.Here]).Raw(0x3F, 0x00).With32([], at + 0x10).Raw(new byte[10]).Raw(gdt);

            Assert.NotEqual(MachineEnd.Failed, (await GuestRun.RunAsync(TestKernels.Protected(guest))).End);
        }
    }

    [Theory]
    [InlineData(new byte[] { 0x90 })]
    [InlineData(new byte[] { 0x66 })]
    [InlineData(new byte[] { 0x48, 0xB8, 0x11 })]
    [InlineData(new byte[] { 0x0F })]
    [InlineData(new byte[] { 0x62, 0xF1 })]
    public async Task An_instruction_at_the_end_of_memory_ends_orderly(byte[] bytes)
    {
        var at = (uint)GuestRun.Memory - (uint)bytes.Length;
        var code = new Code(TestKernels.Origin).With32([0xB8], at).Raw(0xFF, 0xE0);

        Assert.NotEqual(MachineEnd.Failed, (await GuestRun.RunAsync(TestKernels.Long(code, (at, bytes)))).End);
    }

    [Theory]
    [InlineData(0xFFFF)]
    [InlineData(0xFFFE)]
    [InlineData(0xFFF8)]
    [InlineData(0x0000)]
    public async Task Code_of_16_bits_at_its_segments_end_ends_orderly(ushort offset)
    {
        // Through a 16-bit code segment with a limit of 64 KiB: the last bytes, then past the end.
        const uint at = TestKernels.Origin + 0x100;
        var guest = new Code(TestKernels.Origin).With32([0x0F, 0x01, 0x15], at).With32([0xEA], offset).Raw(0x08, 0x00);
        var gdt = new byte[0x20];
        TestKernels.U64(gdt, 0x08, 0x0000_9B40_0000_FFFF);
        TestKernels.U64(gdt, 0x10, 0x0000_9340_0000_FFFF);
        guest.Raw(new byte[at - guest.Here]).Raw(0x1F, 0x00).With32([], at + 0x10).Raw(new byte[10]).Raw(gdt);

        Assert.NotEqual(MachineEnd.Failed, (await GuestRun.RunAsync(TestKernels.Protected(guest))).End);
    }

    [Fact]
    public async Task Two_machines_in_one_process_end_each_by_itself()
    {
        var loop = TestKernels.Long(new Code(TestKernels.Origin).Raw(0xEB, 0xFE));
        using var file = new KernelFile(loop);
        await using var endless = Machine.Create(GuestRun.Spec(file.Path) with { Timeout = null });
        var run = endless.RunAsync(TestContext.Current.CancellationToken);

        var others = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => GuestRun.RunAsync(i % 2 == 0
            ? TestKernels.Long(new Code(TestKernels.Origin).Exit((byte)i))
            : TestKernels.Long(new Code(TestKernels.Origin).Raw(0x0F, 0x0B)))));

        Assert.Equal([MachineEnd.DebugExit, MachineEnd.TripleFault, MachineEnd.DebugExit, MachineEnd.TripleFault], others.Select(result => result.End));
        Assert.Equal(MachineState.Running, endless.State);
        await endless.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal(MachineEnd.Stopped, (await run).End);
    }
}
