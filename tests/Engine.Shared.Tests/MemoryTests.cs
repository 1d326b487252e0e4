// What every engine promises about memory that comes and goes and becomes something else while its vCPUs run.
using Iced.Intel;
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class MemoryTests
{
    private const uint Place = 0x1000_0000, Elsewhere = 0x1400_0000, Length = 0x4000, Found = Layout.Data, Missed = Found + 8, Other = Found + 16, Stop = Found + 24;
    private const byte InvalidOpcode = 6;

    public static TheoryData<string> Engines => [.. EngineKind.All];

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_range_comes_moves_and_goes_while_a_vCPU_uses_it(string engine)
    {
        const uint mark = 0x1234;
        using var machine = new SmallMachine(engine);
        using var bytes = SharedMemory.Create("test", Length);
        using var region = machine.Memory.CreateRegion("card", Length, MemoryKind.Ram, MemoryBacking.Shared(bytes));
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            Label again = c.CreateLabel(), here = c.CreateLabel(), gone = c.CreateLabel(), next = c.CreateLabel();
            c.Label(ref again);
            c.mov(eax, __dword_ptr[Place + 0x1000]);
            c.mov(__dword_ptr[Place + 0x2000], mark);
            c.cmp(eax, mark);
            c.je(here);
            c.cmp(eax, -1);
            c.je(gone);
            c.or(__dword_ptr[Other], eax);
            c.jmp(next);
            c.Label(ref here);
            c.inc(__dword_ptr[Found]);
            c.jmp(next);
            c.Label(ref gone);
            c.inc(__dword_ptr[Missed]);
            c.Label(ref next);
            c.cmp(__dword_ptr[Stop], 0);
            c.je(again);
        }, (_, _) => { });

        Beside(machine, program, () =>
        {
            for (var n = 0; n < 10; n++)
            {
                Assert.True(region.TryMove(Place));
                Assert.True(region.TryWrite(0x1000, BitConverter.GetBytes(mark)));
                machine.WaitForMore(Found);
                if (n % 2 == 0) region.SwitchOff();
                else Assert.True(region.TryMove(Elsewhere));
                machine.WaitForMore(Missed);
            }
        });

        // What is just being taken away may read as zeros, and as nothing else.
        Assert.Equal(0u, machine.Read<uint>(Other));
        Assert.True(region.TryMove(Place) && machine.Read<uint>(Place + 0x2000) == mark);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_ROM_is_read_and_executed_and_its_stores_reach_the_bus(string engine)
    {
        using var machine = new SmallMachine(engine);
        var rom = machine.Memory.Map(Place, Length, MemoryKind.Rom, "rom");
        var device = new RegisterDevice();
        machine.Mmio.Map(Place, RegisterDevice.Length, device);
        Assert.True(rom.TryWrite(8, [0x78, 0x56, 0x34, 0x12]));
        Assert.True(rom.TryWrite(0x1000, Modes.Assemble(64, Place + 0x1000, c =>
        {
            c.mov(ebx, __dword_ptr[Place + 8]);
            c.mov(__dword_ptr[Place + 0x10], ebx);
            c.mov(__byte_ptr[Place + 0x15], 7);
            c.add(__dword_ptr[Place + 0x18], 1);
            c.mov(edi, Place + 0x20);
            c.mov(ecx, 2);
            c.mov(eax, 0x5a5a5a5a);
            c.rep.stosd();
            // Nothing answers.
            c.mov(__qword_ptr[Place + 0x2000], rax);
            // What is read stays what it was.
            c.mov(eax, __dword_ptr[Place + 0x10]);
            c.or(eax, __dword_ptr[Place + 0x2000]);
            c.ret();
        })));
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            c.mov(eax, Place + 0x1000);
            c.call(rax);
        }, (_, _) => { });

        for (var round = 0; round < 2; round++)
        {
            var state = machine.Run(program.Load(machine));

            Assert.Equal((0x1234_5678ul, 0ul), (state.Gpr[GprIndex.Rbx], state.Gpr[GprIndex.Rax]));
        }
        Assert.All(device.Accesses, access => Assert.True(access.Write));
        Assert.Equal(
            [0x78, 0x56, 0x34, 0x12, 0, 7, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a], device.Bytes.Slice(0x10, 24).ToArray());
        Assert.False(machine.Memory.TryWrite(Place, 1));
        Assert.True(machine.Memory.TryRead<uint>(Place + 0x18, out var kept) && kept == 0);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void RAM_becomes_a_ROM_and_RAM_again_under_a_vCPU_that_stores_to_it(string engine)
    {
        using var machine = new SmallMachine(engine);
        using var region = machine.Memory.Map(Place, Length, MemoryKind.Ram, "shadow");
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.Label(ref again);
            c.inc(__dword_ptr[Place]);
            c.inc(__dword_ptr[Found]);
            c.mov(ebx, __dword_ptr[Place + 4]);
            c.or(__dword_ptr[Other], ebx);
            c.cmp(__dword_ptr[Stop], 0);
            c.je(again);
        }, (_, _) => { });

        Beside(machine, program, () =>
        {
            for (var n = 0; n < 10; n++)
            {
                machine.WaitForMore(Place);
                region.SetKind(MemoryKind.Rom);
                machine.WaitForMore(Found);
                var kept = machine.Read<uint>(Place);
                machine.WaitForMore(Found);
                Assert.Equal(kept, machine.Read<uint>(Place));
                region.SetKind(MemoryKind.Ram);
            }
        });

        // At no moment was there nothing.
        Assert.Equal(0u, machine.Read<uint>(Other));
    }

    // FISTP of what is no number stores nothing where that is an exception; KVM has the processor do no such store to a device.
    [Fact]
    public void A_store_to_a_device_that_does_not_come_about_is_none_each_time()
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        const uint control = Layout.Data, number = control + 8, register = Layout.Device + 0x10;
        using var machine = new SmallMachine("translator");
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.mov(__word_ptr[control], 0x37e);          // all but the invalid operation masked
            c.mov(__dword_ptr[number], 0x7fc0_0000);    // a quiet NaN, and then a number
            c.mov(ebx, 4);
            c.mov(ebp, register);
            c.Label(ref again);
            c.fninit();
            c.fldcw(__word_ptr[control]);
            c.fld(__dword_ptr[number]);
            c.fistp(__dword_ptr[rbp]);
            c.fnclex();
            c.dec(ebx);
            c.jne(again);
            c.fninit();
            c.mov(__dword_ptr[number], 0x40a0_0000);
            c.fld(__dword_ptr[number]);
            c.fistp(__dword_ptr[rbp]);
        }, (after, _) =>
        {
            Assert.Equal(0x10ul, Assert.Single(after.Device.Accesses, access => access.Write).Offset);
            Assert.Equal(5, after.Device.Bytes[0x10]);
        });

        program.Check(machine, program.Run(machine));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_flash_chip_is_memory_a_device_and_memory_with_other_code(string engine)
    {
        using var machine = new SmallMachine(engine);
        var flash = new Flash(machine);
        flash.Region.TryWrite(0, Function(0x11));
        flash.Programmed = Function(0x22);
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            c.mov(ebp, Place);
            c.call(rbp);
            c.@out((byte)Layout.LogPort, eax);
            c.mov(__byte_ptr[rbp + 0x10], Flash.Command);
            c.mov(eax, __dword_ptr[rbp]);
            c.@out((byte)Layout.LogPort, eax);
            c.mov(__byte_ptr[rbp + 0x10], Flash.Reading);
            c.call(rbp);
            c.@out((byte)Layout.LogPort, eax);
        }, (_, _) => { });

        machine.Run(program.Load(machine));

        Assert.Equal([0x11u, Flash.Status, 0x22u], machine.PortLog.Select(entry => entry & 0x0fff_ffff));

        byte[] Function(int result) => Modes.Assemble(64, Place, c =>
        {
            c.mov(eax, result);
            c.ret();
        });
    }

    // The code is fetched from memory, then nothing can be fetched there, then it can again.
    [Theory]
    [MemberData(nameof(Engines))]
    public void A_flash_chip_is_switched_both_ways_while_code_runs_from_it(string engine)
    {
        using var machine = new SmallMachine(engine);
        var flash = new Flash(machine);
        flash.Region.TryWrite(0, Modes.Assemble(64, Place, c =>
        {
            var again = c.CreateLabel();
            c.Label(ref again);
            c.inc(__dword_ptr[Found]);
            c.cmp(__dword_ptr[Stop], 0);
            c.je(again);
            c.ret();
        }));
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            c.mov(eax, Place);
            c.call(rax);
        }, (_, _) => { })
        {
            Prepare = small =>
            {
                // An interrupt gate whose handler counts and has the instruction tried again. SDM vol. 3, 6.14.1.
                small.Load(Layout.Idt + InvalidOpcode * 16, [.. BitConverter.GetBytes(Layout.Handlers & 0xffff | (ulong)Layout.Code64 << 16 | 0x8e00ul << 32), .. new byte[8]]);
                small.Load(Layout.Handlers, Modes.Assemble(64, Layout.Handlers, c =>
                {
                    c.inc(__dword_ptr[Missed]);
                    c.iretq();
                }));
            },
        };

        Beside(machine, program, () =>
        {
            for (var n = 0; n < 10; n++)
            {
                machine.WaitForMore(Found);
                flash.Region.SetKind(MemoryKind.Device);
                machine.WaitForMore(Missed);
                var stood = machine.Read<uint>(Found);
                machine.WaitForMore(Missed);
                Assert.Equal(stood, machine.Read<uint>(Found));
                flash.Region.SetKind(MemoryKind.Rom);
            }
        });
    }

    // Where there is another vCPU, a locked instruction may hold it out while it is carried out: not while a device answers.
    [Theory]
    [MemberData(nameof(Engines))]
    public void A_device_that_a_locked_instruction_reaches_may_change_what_lies_where(string engine)
    {
        using var machine = new SmallMachine(engine, cpus: 2);
        var flash = new Flash(machine) { Toggles = true };
        using var region = machine.Memory.Map(Elsewhere, Length, MemoryKind.Ram, "shadow");
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.Label(ref again);
            c.@lock.inc(__dword_ptr[Place + 0x100]);
            c.inc(__dword_ptr[Found]);
            c.cmp(__dword_ptr[Stop], 0);
            c.je(again);
        }, (_, _) => { });

        Beside(machine, program, () =>
        {
            machine.WaitForMore(Found);
            for (var n = 0; n < 200; n++) region.SetKind(n % 2 == 0 ? MemoryKind.Rom : MemoryKind.Ram);
            machine.WaitForMore(Found);
        });
    }

    /// <summary>Runs a program on vCPU 0 while something is done on another thread, at whose end the program ends.</summary>
    private static void Beside(SmallMachine machine, GuestProgram program, Action action) => machine.Run(program.Load(machine), () =>
    {
        try
        {
            action();
        }
        finally
        {
            machine.Memory.TryWrite(Stop, 1);
        }
    });

    // Takes commands, and answers with a status until it is told to be read.
    private sealed class Flash : IBusDevice
    {
        internal const byte Command = 0x70, Reading = 0xff;
        internal const uint Status = 0x80;

        internal Flash(SmallMachine machine)
        {
            Region = machine.Memory.Map(Place, Length, MemoryKind.Rom, "flash");
            machine.Mmio.Map(Place, Length, this);
        }

        internal MemoryRegion Region { get; }

        internal byte[] Programmed { get; set; } = [];

        /// <summary>Every store switches it.</summary>
        internal bool Toggles { get; init; }

        public AccessResult Read(ulong offset, Span<byte> data)
        {
            data.Clear();
            data[0] = (byte)Status;
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            if (Toggles) Region.SetKind(Region.Kind == MemoryKind.Rom ? MemoryKind.Device : MemoryKind.Rom);
            else if (data[0] == Command) Region.SetKind(MemoryKind.Device);
            else
            {
                Region.TryWrite(0, Programmed);
                Region.SetKind(MemoryKind.Rom);
            }
            return AccessResult.Ok;
        }
    }
}
