// One set of programs for all engines: each must come to what the manual says on every engine, and all that the architecture
// shows at the end (registers, memory, what devices saw) must be the same on all of them.
using Lamina.Core.Engine;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Shared;

public sealed class ProgramTests
{
    private static readonly Dictionary<string, GuestProgram> s_programs = new()
    {
        ["real: arithmetic"] = RealPrograms.Arithmetic,
        ["real: strings and ports"] = RealPrograms.Strings,
        ["real: interrupts and a fault"] = RealPrograms.Interrupts,
        ["real: timer interrupts"] = RealPrograms.Timer,
        ["real to long and back"] = RealPrograms.ModeSwitches,
        ["protected: faults"] = LongPrograms.ProtectedFaults,
        ["protected: ring 3"] = LongPrograms.ProtectedUser,
        ["long: system calls"] = LongPrograms.SystemCalls(sysret: false),
        ["long: system calls and SYSRET"] = LongPrograms.SystemCalls(sysret: true),
        ["long: faults of a user"] = LongPrograms.UserFaults,
        ["long: vectors"] = LongPrograms.Vectors,
        ["long: device accesses"] = LongPrograms.DeviceAccesses,
        ["long: local APIC"] = LongPrograms.LocalApicTimer,
        ["long: MSRs"] = LongPrograms.ModelSpecificRegisters,
        ["long: self-modification"] = LongPrograms.SelfModification,
        ["long: flags into changed code"] = LongPrograms.FlagsIntoChangedCode,
        ["long: trap flag"] = LongPrograms.TrapFlag,
        ["protected: flags"] = FlagPrograms.Values(GuestMode.Protected, 0),
        ["protected: flags, interrupts on"] = FlagPrograms.Values(GuestMode.Protected, 0x200),
        ["long: flags"] = FlagPrograms.Values(GuestMode.Long, 0),
        ["long: flags of a user"] = FlagPrograms.Values(GuestMode.LongUser, 0x200),
        ["long: flags of a user with IOPL 3"] = FlagPrograms.Values(GuestMode.LongUser, 0x3200),
        ["protected: flags let an interrupt in"] = FlagPrograms.Window,
        ["protected: trap flag"] = FlagPrograms.Trap,
        ["long: breakpoints"] = DebugPrograms.Breakpoints,
        ["long: breakpoints elsewhere"] = DebugPrograms.Elsewhere,
        ["long: accesses around breakpoints"] = DebugPrograms.Around,
        ["long: accesses beside breakpoints"] = DebugPrograms.Beside,
        ["long: breakpoints in the code's page"] = DebugPrograms.SamePage,
        ["long: code beside breakpoints"] = DebugPrograms.BesideCode,
        ["long: vectors across rings"] = KernelPrograms.VectorsAcrossRings(sysret: false),
        ["long: vectors across rings and SYSRET"] = KernelPrograms.VectorsAcrossRings(sysret: true),
        ["long: task priority up and down"] = KernelPrograms.TaskPriorityMoves,
        ["long: identification"] = KernelPrograms.Identification,
        ["long: a large page"] = KernelPrograms.LargePage(withData: true, 0x87),
        ["long: a large page that was used"] = KernelPrograms.LargePage(withData: true, 0xE7),
        ["long: a large page of code alone"] = KernelPrograms.LargePage(withData: false, 0x87),
        ["long: a large page of code alone that was used"] = KernelPrograms.LargePage(withData: false, 0xE7),
        ["long: a large page that stays"] = KernelPrograms.UnchangedPage,
        ["long: task priority"] = LongPrograms.TaskPriority,
    };

    // A software-assisted KVM runs a user's code as one of the host's, with IOPL 0, and its emulator does not carry every interrupt through gates of 32 bits.
    private static readonly HashSet<string> s_exact = ["long: flags of a user with IOPL 3", "protected: flags let an interrupt in"];

    public static TheoryData<string, string> NamesAndEngines => With(EngineKind.All);

    public static TheoryData<string, string> NamesAndOtherEngines => With(EngineKind.All.Where(EngineKind.IsKvm));

    [Theory]
    [MemberData(nameof(NamesAndEngines))]
    public void A_program_comes_to_what_the_manual_says(string name, string engine)
    {
        if (EngineKind.IsKvm(engine) && s_exact.Contains(name)) EngineKind.SkipWhereSoftwareAssisted();
        using var machine = new SmallMachine(engine);

        var state = s_programs[name].Run(machine);

        s_programs[name].Check(machine, state);
    }

    [Theory]
    [MemberData(nameof(NamesAndOtherEngines))]
    public void A_program_leaves_the_same_behind_as_on_the_translator(string name, string engine)
    {
        if (s_exact.Contains(name)) EngineKind.SkipWhereSoftwareAssisted();
        using var first = new SmallMachine(EngineKind.Translator);
        using var second = new SmallMachine(engine);

        var (a, b) = (s_programs[name].Run(first), s_programs[name].Run(second));

        Assert.Empty(StateComparison.Differences(a, b));
        Assert.Equal(first.PortLog, second.PortLog);
        Assert.Equal(first.Device.Accesses, second.Device.Accesses);
        Assert.Equal(first.Device.Bytes, second.Device.Bytes);
        Assert.Empty(DifferentPages(first, second));
    }

    private static TheoryData<string, string> With(IEnumerable<string> engines)
    {
        var data = new TheoryData<string, string>();
        foreach (var engine in engines)
            foreach (var name in s_programs.Keys) data.Add(name, engine);
        return data;
    }

    /// <summary>
    /// Guest-physical addresses of pages that differ. Accessed and dirty bits are in it: an engine sets them where the manual says.
    /// What handlers left below the stack pointer is not: processors differ in the RF of the flags that a fault pushes.
    /// </summary>
    private static IEnumerable<string> DifferentPages(SmallMachine first, SmallMachine second)
    {
        var (a, b) = (new byte[4096], new byte[4096]);
        for (var page = 0ul; page < Layout.RamSize; page += 4096)
        {
            if (page == Layout.KernelStack - 4096) continue;
            Assert.True(first.Memory.TryRead(page, a) && second.Memory.TryRead(page, b));
            for (var at = 0; at < a.Length; at++)
            {
                if (a[at] == b[at]) continue;
                yield return $"{page + (ulong)at:x}: {a[at]:x2} and {b[at]:x2}";
                break;
            }
        }
    }
}
