// The architecture in C#: one vCPU's registers, what they mean, and every rule about them that the generated code does
// not carry out itself. It executes single instructions that it is given decoded; it does not fetch, decode or loop.
// The translator's runtime owns one per vCPU and calls it on the vCPU's thread only. Parts of the class live in the
// rooms beside this file, by subject.
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Core.Logging;
using Lamina.Core.Memory;
using Lamina.Core.Time;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Memory;
using Lamina.Engines.X86.Msr;

namespace Lamina.Engines.X86;

/// <summary>One x86 processor.</summary>
internal sealed unsafe partial class Processor : IDisposable
{
    private readonly IVcpuBus _bus;
    private readonly ILocalInterruptController _apic;
    private readonly IMachineClock _clock;
    private readonly CpuModel _model;
    private readonly ITranslationCache _cache;
    private readonly ILog? _log;
    private readonly int _index;
    private readonly HostInstructions _host = new();
    private readonly uint _mxcsrMask;
    private readonly ParavirtualClock _paravirtualClock;

    // MXCSR.MM. APM vol. 2, 11.1.
    private const uint MxcsrMisaligned = 1 << 17;

    /// <summary>Creates a processor in its RESET state.</summary>
    public Processor(ProcessorOptions options)
    {
        Context = options.Context;
        _index = options.Index;
        _bus = options.Bus;
        _apic = options.Apic;
        _clock = options.Clock;
        _model = options.Model;
        _cache = options.Cache;
        _log = options.Log;
        _mxcsrMask = _host.ReadMxcsrMask() & ~(_model.HasMisalignedSse ? 0 : MxcsrMisaligned);
        _memory = options.Memory;
        _ramBase = (byte*)options.Memory.HostBase;
        _paravirtualClock = new ParavirtualClock(options.Memory, options.Clock);
        _plainMsrs = new PlainMsrs(_model.Vendor);
        _memoryTypes = new MemoryTypeRanges(_model.PhysicalAddressBits);
        Reset();
    }

    /// <inheritdoc/>
    public void Dispose() => _host.Dispose();

    /// <summary>The live state.</summary>
    public CpuContext* Context { get; }

    /// <summary>The pending exception after an outcome of <see cref="Outcome.Fault"/> or a Try method that gave false.</summary>
    public Fault Fault { get; private set; }

    /// <summary>What CPUID says.</summary>
    public CpuModel Model => _model;

    /// <summary>Whether CR0.PE is set.</summary>
    public bool IsProtected => (Context->Cr0 & Cr0.PE) != 0;

    /// <summary>Whether IA-32e mode is active (64-bit or compatibility mode).</summary>
    public bool IsLongMode => (Context->Efer & Efer.LMA) != 0;

    /// <summary>Whether the processor is in 64-bit mode.</summary>
    public bool Is64Bit => IsLongMode && (Context->Cs.Attributes & SegmentAttributes.L) != 0;

    /// <summary>Whether the processor is in virtual-8086 mode.</summary>
    public bool IsVirtual8086 => (Context->SystemFlags & Rflags.VM) != 0;

    /// <summary>RFLAGS put together.</summary>
    public ulong Flags => Context->SystemFlags | Context->ArithmeticFlags;

    private uint IoPrivilege => (uint)(Context->SystemFlags >> 12) & 3;

    /// <summary>Segment register by number: ES, CS, SS, DS, FS, GS, LDTR, TR.</summary>
    private SegmentRegister* Segment(int number) => &Context->Es + number;

    private void SetFlags(ulong value)
    {
        var modeChanged = ((Context->SystemFlags ^ value) & (Rflags.TF | Rflags.AC | Rflags.VM)) != 0;
        Context->ArithmeticFlags = value & Rflags.Arithmetic;
        Context->SystemFlags = (value & Rflags.System) | Rflags.Fixed;
        if (modeChanged) _cache.ModeChanged();
    }

    private void SetCpl(uint cpl)
    {
        if (Context->Cpl == cpl) return;
        Context->Cpl = cpl;
        _cache.ModeChanged();
    }

    /// <summary>Replaces a segment register and tells the cache where it matters.</summary>
    private void SetSegment(int number, in SegmentRegister value)
    {
        var register = Segment(number);
        var changed = register->Base != value.Base || register->Limit != value.Limit || register->Attributes != value.Attributes;
        var modeChanged = (number == SegmentIndex.Cs || number == SegmentIndex.Ss)
            && ((register->Attributes ^ value.Attributes) & (SegmentAttributes.L | SegmentAttributes.DB)) != 0;
        *register = value;
        if (changed) _cache.SegmentBaseOrLimitChanged();
        if (modeChanged) _cache.ModeChanged();
    }

    private bool Raise(in Fault fault)
    {
        Fault = fault;
        return false;
    }

    private bool GeneralProtection(uint code = 0) => Raise(Fault.WithCode(Vector.GeneralProtection, code));

    private bool StackFault(uint code = 0) => Raise(Fault.WithCode(Vector.StackFault, code));

    private bool InvalidTss(uint code) => Raise(Fault.WithCode(Vector.InvalidTss, code));

    private bool NotPresent(uint code) => Raise(Fault.WithCode(Vector.NotPresent, code));

    private bool InvalidOpcode() => Raise(Fault.Plain(Vector.InvalidOpcode));

    private bool DeviceNotAvailable() => Raise(Fault.Plain(Vector.DeviceNotAvailable));

    private static bool IsCanonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;
}
