// MOVS and STOS without a repeat prefix in flat 32-bit code, of which boot loaders make their copies: against a model, over pages that
// were never touched, over their ends, in both directions, and into code.
using Iced.Intel;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class StringElementTests
{
    private const uint Area = 0x10_0000, AreaLength = 0x8000, Log = 0x18_0000, Page = 0x1000;
    private const int Operations = 400;

    public static TheoryData<string> Engines => [.. EngineKind.All];

    private readonly record struct Operation(bool Moves, int Size, bool Down, uint From, uint To, uint Value);

    [Theory]
    [MemberData(nameof(Engines))]
    public void Elements_go_where_the_registers_say(string engine)
    {
        using var machine = new SmallMachine(engine);
        var random = new Random(0xa4);
        var operations = Enumerable.Range(0, Operations).Select(_ => new Operation(random.Next(3) > 0, 1 << random.Next(3), random.Next(4) == 0, Place(random), Place(random), (uint)random.Next())).ToArray();
        var memory = new byte[AreaLength];
        random.NextBytes(memory);
        machine.Load(Area, memory);
        machine.Load(Layout.Code, Modes.Assemble(32, Layout.Code, c =>
        {
            for (var i = 0; i < Operations; i++) Write(c, operations[i], Log + ((uint)i * 8));
            c.@out((byte)Layout.EndPort, al);
        }));

        // The second time the pages are known and the code is there.
        for (var round = 0; round < 2; round++)
        {
            machine.Run(machine.Start(GuestMode.Protected));
            for (var i = 0; i < Operations; i++)
            {
                var (from, to) = Do(memory, operations[i]);
                Assert.Equal((i, from, to), (i, machine.Read<uint>(Log + ((uint)i * 8)), machine.Read<uint>(Log + ((uint)i * 8) + 4)));
            }
            var seen = new byte[AreaLength];
            Assert.True(machine.Memory.TryRead(Area, seen));
            Assert.Equal(memory, seen);
        }
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Code_that_an_element_is_copied_over_is_new_code(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Load(Area, [0xb0, 1, 0xc3, 0xb0, 2, 0xc3]);
        machine.Load(Layout.Code, Modes.Assemble(32, Layout.Code, c =>
        {
            c.call(Area);
            c.movzx(ebx, al);
            c.mov(esi, Area + 4);
            c.mov(edi, Area + 1);
            c.movsb();
            c.call(Area);
            c.mov(bh, al);
            c.mov(eax, 3);
            c.mov(edi, Area + 1);
            c.stosb();
            c.call(Area);
            c.shl(eax, 16);
            c.or(ebx, eax);
            c.@out((byte)Layout.EndPort, al);
        }));

        Assert.Equal(0x3_0201ul, machine.Run(machine.Start(GuestMode.Protected)).Gpr[3] & 0xff_ffff);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void An_element_of_a_device_is_the_devices(string engine)
    {
        using var machine = new SmallMachine(engine);
        machine.Load(Area, [0x78, 0x56, 0x34, 0x12]);
        machine.Load(Layout.Code, Modes.Assemble(32, Layout.Code, c =>
        {
            c.mov(esi, Area);
            c.mov(edi, Layout.Device);
            c.movsd();
            c.mov(esi, Layout.Device);
            c.mov(edi, Area + 8);
            c.movsd();
            c.@out((byte)Layout.EndPort, al);
        }));

        var end = machine.Run(machine.Start(GuestMode.Protected));

        Assert.Equal((Layout.Device + 4ul, Area + 12ul), (end.Gpr[6], end.Gpr[7]));
        Assert.Equal(0x1234_5678u, machine.Read<uint>(Area + 8));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void Of_an_element_over_the_end_of_memory_its_first_part_is_there(string engine)
    {
        const uint end = (uint)Layout.RamSize;
        using var machine = new SmallMachine(engine);
        machine.Load(end - 4, [1, 2, 3, 4]);
        machine.Load(Layout.Code, Modes.Assemble(32, Layout.Code, c =>
        {
            c.mov(esi, end - 2);
            c.mov(edi, Area);
            c.movsd();
            c.mov(eax, 0x0807_0605);
            c.mov(edi, end - 2);
            c.stosd();
            c.@out((byte)Layout.EndPort, al);
        }));

        var state = machine.Run(machine.Start(GuestMode.Protected));

        Assert.Equal((end + 2ul, end + 2ul), (state.Gpr[6], state.Gpr[7]));
        Assert.Equal(0xffff_0403, machine.Read<uint>(Area));
        Assert.Equal(0x0605_0201u, machine.Read<uint>(end - 4));
    }

    // At or near the end of a page, or anywhere.
    private static uint Place(Random random) => Area + 16 + (random.Next(2) == 0 ? (uint)random.Next(1, 7) * Page - (uint)random.Next(8) : (uint)random.Next((int)AreaLength - 64));

    private static void Write(Assembler c, Operation operation, uint log)
    {
        c.mov(esi, operation.From);
        c.mov(edi, operation.To);
        c.mov(eax, operation.Value);
        if (operation.Down) c.std();
        switch (operation.Moves, operation.Size)
        {
            case (true, 1): c.movsb(); break;
            case (true, 2): c.movsw(); break;
            case (true, _): c.movsd(); break;
            case (_, 1): c.stosb(); break;
            case (_, 2): c.stosw(); break;
            default: c.stosd(); break;
        }
        c.cld();
        c.mov(__dword_ptr[log], esi);
        c.mov(__dword_ptr[log + 4], edi);
    }

    private static (uint From, uint To) Do(byte[] memory, Operation operation)
    {
        Span<byte> element = stackalloc byte[4];
        if (operation.Moves) memory.AsSpan((int)(operation.From - Area), operation.Size).CopyTo(element);
        else BitConverter.TryWriteBytes(element, operation.Value);
        element[..operation.Size].CopyTo(memory.AsSpan((int)(operation.To - Area)));
        var step = operation.Down ? (uint)-operation.Size : (uint)operation.Size;
        return (operation.Moves ? operation.From + step : operation.From, operation.To + step);
    }
}
