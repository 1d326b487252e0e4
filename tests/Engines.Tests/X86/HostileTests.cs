// A hostile guest: random instructions with random state in every mode. Nothing may throw or hang, and an instruction that
// faults leaves registers as they were, save those that are done in parts.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Segmentation;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class HostileTests
{
    private const int Rounds = 25_000;

    public static TheoryData<string, int> Modes
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (var mode in (string[])["real", "protected", "protected user", "virtual", "long", "long user", "compatibility"])
                for (var seed = 0; seed < 2; seed++) data.Add(mode, seed);
            return data;
        }
    }

    private static void Enter(TestMachine machine, string mode)
    {
        switch (mode)
        {
            case "real": machine.EnterReal(); break;
            case "protected": machine.EnterProtected(); break;
            case "protected user": machine.EnterProtected(cpl: 3); break;
            case "virtual": machine.EnterVirtual8086(); break;
            case "long": machine.EnterLong(); break;
            case "long user": machine.EnterLong(cpl: 3); break;
            default:
                machine.EnterLong();
                machine.LoadSegment(1, TestMachine.Code32);
                break;
        }
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void NothingThrowsAndFaultsChangeNothing(string mode, int seed)
    {
        using var machine = new TestMachine();
        var random = new Random(seed * 31 + mode.Length);
        Span<byte> code = stackalloc byte[15];
        var executed = 0;
        for (var round = 0; round < Rounds; round++)
        {
            if (round % 16 == 0) Scramble(machine, mode, random);
            random.NextBytes(code);
            if (random.Next(3) == 0) code[0] = 0x0f;
            var size = machine.Processor.Is64Bit ? CodeSize.Code64 : (machine.Context->Cs.Attributes & 0x4000) != 0 ? CodeSize.Code32 : CodeSize.Code16;
            if (InstructionDecoder.Decode(code, size, machine.Processor.Model.InstructionSet, out var instruction) != DecodeResult.Ok || instruction.Id == InstructionId.Plain) continue;
            executed++;
            var before = *machine.Context;
            var flags = machine.Flags;
            var outcome = machine.Processor.Execute(in instruction);
            if (outcome != Outcome.Fault)
            {
                Assert.InRange(machine.Context->Cpl, 0u, 3u);
                if (outcome is Outcome.Branched && random.Next(2) == 0) Scramble(machine, mode, random);
                continue;
            }
            var inParts = instruction.Id is (>= InstructionId.Movs and <= InstructionId.Outs) or InstructionId.Gather or InstructionId.Scatter;
            if (!inParts && before.Tr.Selector == machine.Context->Tr.Selector)
            {
                Assert.True(before.Rip == machine.Context->Rip && flags == machine.Flags, $"{instruction.Id} {Convert.ToHexString(code)}");
                // POPA keeps what it popped before the fault, but for the stack pointer.
                var popped = instruction.Id == InstructionId.Popa;
                for (var n = 0; n < 16; n++) Assert.True(before.Gpr[n] == machine.Context->Gpr[n] || (popped && n != GprIndex.Rsp), $"{instruction.Id} register {n} {Convert.ToHexString(code)}");
                for (var n = 0; n < 8; n++) Assert.True((&before.Es)[n].Equals((&machine.Context->Es)[n]), $"{instruction.Id} segment {n} {Convert.ToHexString(code)}");
                Assert.True(before.Cpl == machine.Context->Cpl && before.Cr0 == machine.Context->Cr0 && before.Cr3 == machine.Context->Cr3 && before.Cr4 == machine.Context->Cr4, $"{instruction.Id}");
            }
            outcome = machine.Processor.DeliverFault();
            Assert.True(outcome is Outcome.Branched or Outcome.Shutdown);
            if (outcome == Outcome.Shutdown || random.Next(2) == 0) Scramble(machine, mode, random);
        }
        Assert.True(executed > Rounds / 20, $"{executed}");
    }

    /// <summary>A mode with random tables, registers and memory: some of it sensible, so that checks are passed at times.</summary>
    private static void Scramble(TestMachine machine, string mode, Random random)
    {
        machine.Processor.Reset();
        Assert.True(machine.Memory.TrySlice(0, 0xc000, out var low));
        random.NextBytes(low);
        Enter(machine, mode);
        machine.Write(TestMachine.Gdt + TestMachine.TssSelector + 5, (byte)0x8b); // the current task is busy: no switch to itself
        for (var n = 10; n < 64; n++)
            machine.Write(TestMachine.Gdt + (ulong)n * 8, TestMachine.Descriptor((uint)random.Next(0x10000), (uint)random.Next(0x10_0000), (uint)random.Next(16), (uint)random.Next(4),
                random.Next(2) == 0, random.Next(4) != 0, random.Next(2) == 0, random.Next(4) == 0, random.Next(2) == 0));
        for (var n = 0; n < 256; n++)
        {
            var gate = TestMachine.Gate((ushort)(random.Next(64) * 8 + random.Next(4)), (uint)random.Next(0x10000), (uint)random.Next(16), (uint)random.Next(4), random.Next(8) != 0, (uint)random.Next(8));
            if (mode != "real" && random.Next(4) != 0) machine.Write(TestMachine.Idt + (ulong)n * 8, gate);
        }
        for (var n = 0; n < 16; n++)
            machine.Context->Gpr[n] = random.Next(4) switch
            {
                0 => (ulong)random.Next(0xc000),
                1 => (ulong)random.Next(64) * 8 + (ulong)random.Next(4),
                2 => (ulong)random.NextInt64(long.MinValue, long.MaxValue),
                _ => TestMachine.RamSize - (ulong)random.Next(32),
            };
        if (random.Next(4) != 0) machine.Rsp = TestMachine.StackTop;
        var vm = mode == "virtual" ? Rflags.VM : 0;
        machine.Flags = ((ulong)random.Next(1 << 22) & 0x25_7fd5 & ~Rflags.VM) | vm;
        if (mode.StartsWith("long", StringComparison.Ordinal) || mode == "compatibility") machine.Context->SystemFlags &= ~Rflags.VM;
        machine.Context->Dr7 = 0x400;
        machine.Context->Cr4 |= (ulong)random.Next(1 << 22) & machine.Processor.Model.Cr4Mask & (Cr4.OSFXSR | Cr4.OSXSAVE | Cr4.FSGSBASE | Cr4.UMIP | Cr4.TSD | Cr4.DE | Cr4.SMAP);
        machine.Context->Xcr0 = random.Next(2) == 0 ? 0xe7u : 1u;
        machine.Cache.Calls.Clear();
        machine.Bus.Log.Clear();
        machine.Trace.Clear();
        machine.Apic.Writes.Clear();
    }
}
