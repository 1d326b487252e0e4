// A program for a small guest: a mode to start in, what it wants in memory, its code, and what must have come of it.
using Iced.Intel;
using Lamina.Core.Engine;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared.Guest;

/// <summary>A program.</summary>
/// <param name="Mode">Where it starts.</param>
/// <param name="Code">Its code at <see cref="Layout.Code"/>; the write to the end port follows it.</param>
/// <param name="Check">What must hold at the end on every engine; fails the test where it does not.</param>
internal sealed record GuestProgram(GuestMode Mode, Action<Assembler> Code, Action<SmallMachine, VcpuState> Check)
{
    /// <summary>It goes between rings by exceptions, which a software-assisted KVM does not do for a guest that knows nothing of it.</summary>
    internal bool NeedsHardware { get; init; }

    /// <summary>What QEMU does not do for it, or does to itself, where it plays the host's processor; null where it carries the program.</summary>
    internal string? FailsInQemu { get; init; }

    /// <summary>Puts handlers and data in place.</summary>
    internal Action<SmallMachine> Prepare { get; init; } = _ => { };

    /// <summary>Changes the starting state.</summary>
    internal Action<VcpuState> Adjust { get; init; } = _ => { };

    /// <summary>Loads it and runs it to its end.</summary>
    internal VcpuState Run(SmallMachine machine)
    {
        if (NeedsHardware && EngineKind.IsKvm(machine.EngineName)) EngineKind.SkipWhereSoftwareAssisted();
        if (FailsInQemu is { } why && EngineKind.IsKvm(machine.EngineName)) EngineKind.SkipInQemu(why);
        var state = Load(machine);
        return machine.Run(state);
    }

    /// <summary>Loads it and gives the state to start from.</summary>
    internal VcpuState Load(SmallMachine machine)
    {
        Prepare(machine);
        machine.Load(Layout.Code, Modes.Assemble(Modes.Bits(Mode), Layout.Code, c =>
        {
            Code(c);
            var end = c.CreateLabel();
            // A user may not write to ports, but to a device in memory.
            if (Mode == GuestMode.LongUser) c.mov(__byte_ptr[Layout.EndDevice], al);
            else c.@out((byte)Layout.EndPort, al);
            c.Label(ref end);
            c.jmp(end);
        }));
        var state = machine.Start(Mode);
        Adjust(state);
        return state;
    }
}
