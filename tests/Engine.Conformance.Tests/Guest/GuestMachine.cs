// The engine's side: a machine of one vCPU without devices, which runs a case from a given state to the exception that
// ends it. One thread only.
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Engines;
using Lamina.Engines.Translator;
using Lamina.Engines.Translator.Settings;
using Lamina.Engines.X86.Cpuid;
using Lamina.Tests.Engine.Conformance.Cases;

namespace Lamina.Tests.Engine.Conformance.Guest;

/// <summary>What mode the guest runs cases in.</summary>
internal enum GuestMode
{
    /// <summary>64-bit or compatibility mode, privilege level 3: as on the host.</summary>
    User,

    /// <summary>64-bit mode, privilege level 0.</summary>
    Supervisor,

    /// <summary>Legacy protected mode, privilege level 3.</summary>
    Legacy,

    /// <summary>Real mode.</summary>
    Real,
}

/// <summary>How the guest runs cases.</summary>
/// <param name="Name">For reports and the corpus.</param>
/// <param name="Settings">The translator's.</param>
/// <param name="Mode">The CPU's mode.</param>
/// <param name="Archived">Each case runs twice: what counts is the second time, with the translations of the first out of an archive.</param>
/// <param name="CpuModel">What the guest's CPU offers. Hosts that have less than another still test all lower models.</param>
internal sealed record GuestProfile(string Name, TranslatorSettings Settings, GuestMode Mode = GuestMode.User, bool Archived = false, string CpuModel = "host")
{
    private const int CodeBytes = 16 << 20;

    private CpuModel? _model;

    public static IReadOnlyList<GuestProfile> All { get; } =
    [
        new("default", new TranslatorSettings { CodeBufferBytes = CodeBytes }),
        new("precise", new TranslatorSettings { CodeBufferBytes = CodeBytes, Precise = true }),
        new("single", new TranslatorSettings { CodeBufferBytes = CodeBytes, Precise = true, SingleInstructionBlocks = true }),
        new("supervisor", new TranslatorSettings { CodeBufferBytes = CodeBytes }, GuestMode.Supervisor),
        new("legacy", new TranslatorSettings { CodeBufferBytes = CodeBytes }, GuestMode.Legacy),
        new("archived", new TranslatorSettings { CodeBufferBytes = CodeBytes }, Archived: true),
        new("real", new TranslatorSettings { CodeBufferBytes = CodeBytes }, GuestMode.Real),
        new("no-avx512", new TranslatorSettings { CodeBufferBytes = CodeBytes }, CpuModel: "host,-avx512f"),
        new("no-avx2", new TranslatorSettings { CodeBufferBytes = CodeBytes }, CpuModel: "host,-avx2,-bmi1,-abm"),
        new("no-avx", new TranslatorSettings { CodeBufferBytes = CodeBytes }, CpuModel: "host,-avx"),
        new("v2", new TranslatorSettings { CodeBufferBytes = CodeBytes }, CpuModel: "x86-64-v2"),
    ];

    /// <summary>How many cases a run has. To give translations back after each takes milliseconds; lower models share a run's length.</summary>
    public long Cases => Archived ? RunLength.Cases / 5 : IsHost ? RunLength.Cases : RunLength.Cases / 4;

    /// <summary>Whether the CPU offers all that the host has and the engine gives.</summary>
    public bool IsHost => CpuModel == CpuModels.Host;

    /// <summary>The CPU's model.</summary>
    public CpuModel Model => _model ??= Lamina.Engines.X86.Cpuid.CpuModel.ForHost(new CpuModelOptions { TscHz = 1_000_000_000, Selection = CpuSelection.Parse(CpuModel) });

    /// <summary>Components of vector state, x87's and SSE's among them.</summary>
    public ulong Components => Model.XcrMask | 3;

    /// <summary>Whether cases may do what users may not.</summary>
    public bool IsPrivileged => Mode is GuestMode.Supervisor or GuestMode.Real;

    /// <summary>Whether the profile has anything of its own for a kind of code.</summary>
    public bool Runs(CodeMode mode) => Mode switch
    {
        GuestMode.Supervisor => mode == CodeMode.Long,
        GuestMode.Legacy => mode != CodeMode.Long,
        GuestMode.Real => mode == CodeMode.Based16,
        _ => true,
    };
}

/// <summary>The guest.</summary>
internal sealed class GuestMachine : IDisposable
{
    // PE, MP, ET, NE, WP, AM, PG; PAE, PGE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE; SCE, LME, LMA, NXE.
    private const ulong ProtectedCr0 = 0x8005_0033, RealCr0 = 0x32, Cr4 = 0x5_06a0, LongEfer = 0xd01, LegacyEfer = 0x800;

    private readonly GuestMemory _memory;
    private readonly IEngineMachine _machine;
    private readonly FakeBus _bus = new();
    private readonly VcpuState _state = new();
    private readonly VcpuState _after = new();
    private readonly Watchdog _watchdog;
    private readonly DirectoryInfo? _archive;
    private volatile bool _ended;

    public GuestMachine(GuestProfile profile, ulong vectorMask)
    {
        Profile = profile;
        _memory = new GuestMemory([new MemoryRange(0, GuestTables.RamSize), .. profile.Mode == GuestMode.Real ? RealTables.Ranges : []]);
        _archive = profile.Archived ? Directory.CreateTempSubdirectory("lamina-archive-") : null;
        var settings = profile.Settings with { ArchiveFolder = _archive?.FullName, ArchiveWorthwhileBytes = 0 };
        _machine = new TranslatorEngine(settings).CreateMachine(new EngineMachineOptions(_memory, new FakeClock(), 1) { CpuModel = profile.CpuModel });
        Vcpu = _machine.CreateVcpu(new VcpuOptions(0, _bus, Apic));
        GuestTables.Write(_memory);
        LegacyTables.Write(_memory);
        _bus.Ended = () =>
        {
            _ended = true;
            Vcpu.Kick();
        };
        _state.Xcr0 = profile.Model.XcrMask == 0 ? 1 : vectorMask;
        SetMode(profile.Mode);
        _state.Dr[6] = 0xffff_0ff0;
        _state.Dr[7] = 0x400;
        _watchdog = new Watchdog(() =>
        {
            if (!_ended) Vcpu.Kick();
        });
    }

    public GuestProfile Profile { get; }

    public IVcpu Vcpu { get; }

    public FakeApic Apic { get; } = new();

    public GuestMemory Memory => _memory;

    /// <summary>Called at a write to any port but the one that ends a case.</summary>
    public Action<ushort>? PortWritten
    {
        set => _bus.PortWritten = value;
    }

    /// <summary>Runs a case.</summary>
    /// <param name="test">The case.</param>
    /// <param name="result">How it ended.</param>
    /// <param name="adjust">Changes the starting state beyond what a case says.</param>
    public void Run(TestCase test, CaseResult result, Action<VcpuState>? adjust = null)
    {
        if (Profile.Archived)
        {
            RunOnce(test, result, adjust);
            ((TranslatorMachine)_machine).GiveTranslationsBack();
        }
        RunOnce(test, result, adjust);
    }

    private void RunOnce(TestCase test, CaseResult result, Action<VcpuState>? adjust)
    {
        Load(test);
        adjust?.Invoke(_state);
        Vcpu.SetState(_state);
        if (Profile.Mode == GuestMode.Real)
        {
            RealTables.Write(_memory);
            RealTables.WriteImage(_memory, test.Memory);
        }
        else
        {
            GuestTables.WriteImage(_memory, test.Memory);
        }
        Continue(result);
    }

    /// <summary>Runs on to the exception that ends the case, and copies the state at it out.</summary>
    public void Continue(CaseResult result)
    {
        _ended = false;
        _watchdog.Begin();
        var exit = Vcpu.Run();
        _watchdog.End();
        if (exit == VcpuExit.Failed) throw new InvalidOperationException(Vcpu.Failure);
        Vcpu.GetState(_after);
        Copy(result, exit == VcpuExit.Kicked && _ended);
    }

    public void Dispose()
    {
        _watchdog.Dispose();
        _machine.Dispose();
        _memory.Dispose();
        _archive?.Delete(recursive: true);
    }

    private void SetMode(GuestMode mode)
    {
        var legacy = mode == GuestMode.Legacy;
        _state.Cr0 = mode == GuestMode.Real ? RealCr0 : ProtectedCr0;
        _state.Cr4 = Cr4 & Profile.Model.Cr4Mask;
        _state.Efer = mode switch { GuestMode.Real => 0, GuestMode.Legacy => LegacyEfer, _ => LongEfer };
        _state.Cr3 = mode switch { GuestMode.Supervisor => GuestTables.SupervisorRoot, GuestMode.Legacy => LegacyTables.Root, _ => GuestTables.UserRoot };
        _state.Gdtr = legacy ? LegacyTables.GdtRegister : GuestTables.GdtRegister;
        _state.Idtr = mode switch { GuestMode.Real => RealTables.IdtRegister, GuestMode.Legacy => LegacyTables.IdtRegister, _ => GuestTables.IdtRegister };
        _state.Segments[SegmentIndex.Ldtr] = legacy ? LegacyTables.LocalTableSegment : GuestTables.LocalTableSegment;
        _state.Segments[SegmentIndex.Tr] = legacy ? LegacyTables.TaskSegment : GuestTables.TaskSegment;
    }

    private void Load(TestCase test)
    {
        test.Gpr.CopyTo(_state.Gpr, 0);
        (_state.Rip, _state.Rflags) = (test.Rip, test.Rflags);
        var supervisor = Profile.Mode == GuestMode.Supervisor;
        _state.Xsave = test.Xsave;
        var segments = _state.Segments;
        var (ds, es, fs, gs) = test.DataSelectors;
        segments[SegmentIndex.Cs] = Segment(supervisor ? GuestTables.KernelCode : test.CodeSelector);
        segments[SegmentIndex.Ss] = Segment(supervisor ? GuestTables.KernelData : test.StackSelector);
        segments[SegmentIndex.Ds] = Segment(ds);
        segments[SegmentIndex.Es] = Segment(es);
        segments[SegmentIndex.Fs] = Segment(fs);
        segments[SegmentIndex.Gs] = Segment(gs);
        if (test.Mode != CodeMode.Long) return;
        segments[SegmentIndex.Fs].Base = test.FsBase;
        segments[SegmentIndex.Gs].Base = test.GsBase;
    }

    private SegmentState Segment(ushort selector) => Profile.Mode == GuestMode.Real ? RealTables.Segment(selector) : GuestTables.Segment(selector);

    private void Copy(CaseResult result, bool ended)
    {
        _after.Gpr.CopyTo(result.Gpr, 0);
        result.Vector = CaseResult.NoVector;
        (result.Rip, result.Rflags, result.Error, result.Cr2) = (_after.Rip, _after.Rflags, 0, _after.Cr2);
        _after.Xsave.AsSpan(0, result.Xsave.Length).CopyTo(result.Xsave);
        result.FrameAt = -1;
        if (Profile.Mode == GuestMode.Real)
        {
            RealTables.ReadImage(_memory, result.Memory);
            if (ended) RealTables.TakeFrame(_after, result);
            return;
        }
        GuestTables.ReadImage(_memory, result.Memory);
        if (!ended) return;
        var high = Profile.Mode == GuestMode.Legacy ? LegacyTables.High : GuestTables.High;
        result.Vector = (int)((_after.Rip - (high + GuestTables.Handlers)) / GuestTables.HandlerStride);
        // The frame: SS, RSP, RFLAGS, CS, RIP from the top down, and the error code.
        result.Gpr[GprIndex.Rsp] = Frame(2);
        result.Rflags = Frame(3);
        result.Rip = Frame(5);
        result.Error = Frame(6);
    }

    private ulong Frame(int wordsBelowTop)
    {
        const string gone = "the frame is not in memory";
        if (Profile.Mode == GuestMode.Legacy) return _memory.TryRead<uint>(GuestTables.FrameTop - (ulong)wordsBelowTop * 4, out var narrow) ? narrow : throw new InvalidOperationException(gone);
        return _memory.TryRead<ulong>(GuestTables.FrameTop - (ulong)wordsBelowTop * 8, out var value) ? value : throw new InvalidOperationException(gone);
    }
}
