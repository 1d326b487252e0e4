// A processor with a few megabytes of memory, a bus and a local APIC that only remember, and helpers that build
// descriptor tables and run single instructions. Not a test itself.
using System.Runtime.InteropServices;
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Core.Logging;
using Lamina.Core.Memory;
using Lamina.Core.Time;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Segmentation;
using Xunit;

namespace Lamina.Tests.Engines.X86;

internal sealed unsafe class TestMachine : IDisposable
{
    public const ulong RamSize = 8 << 20;

    // Where things lie in RAM.
    public const ulong Idt = 0x1000, Gdt = 0x2000, Tss = 0x3000, Ldt = 0x4000, PageTables = 0x10_0000, Code = 0x8000, Data = 0xa000, StackTop = 0x9000, KernelStack = 0x7000;

    // Selectors that BuildTables makes.
    public const ushort Code32 = 0x08, Data32 = 0x10, Code64 = 0x18, UserCode32 = 0x23, UserData32 = 0x2b, UserCode64 = 0x33, Code16 = 0x38, TssSelector = 0x40, Free = 0x50;

    private readonly void* _context;
    private readonly void* _xsave;

    public TestMachine(CpuModel? model = null)
    {
        _context = NativeMemory.AlignedAlloc((nuint)sizeof(CpuContext), 64);
        _xsave = NativeMemory.AlignedAlloc(4096, 64);
        *(CpuContext*)_context = default;
        Context->XsaveArea = (byte*)_xsave;
        Memory = new GuestMemory([new MemoryRange(0, RamSize)]);
        Processor = new Processor(new ProcessorOptions
        {
            Index = 0,
            Context = Context,
            Memory = Memory,
            Bus = Bus,
            Apic = Apic,
            Clock = Clock,
            Model = model ?? SharedModel,
            Cache = Cache,
            Log = Log.To(line => Trace.Add(line.Message), LogLevel.Trace).CreateLog("test"),
        });
        Cache.Calls.Clear();
    }

    /// <summary>The host's model with every paging feature there, so that tests do not depend on the host.</summary>
    public static CpuModel SharedModel { get; } = CpuModel.Create(SampleHosts.Amd(), new CpuModelOptions { TscHz = 2_000_000_000, HostUnaffected = _ => true });

    public CpuContext* Context => (CpuContext*)_context;

    public Processor Processor { get; }

    public GuestMemory Memory { get; }

    public RecordingBus Bus { get; } = new();

    public FakeApic Apic { get; } = new();

    public FakeClock Clock { get; } = new();

    public RecordingCache Cache { get; } = new();

    public List<string> Trace { get; } = [];

    public ulong Rax { get => Context->Gpr[0]; set => Context->Gpr[0] = value; }

    public ulong Rcx { get => Context->Gpr[1]; set => Context->Gpr[1] = value; }

    public ulong Rdx { get => Context->Gpr[2]; set => Context->Gpr[2] = value; }

    public ulong Rbx { get => Context->Gpr[3]; set => Context->Gpr[3] = value; }

    public ulong Rsp { get => Context->Gpr[4]; set => Context->Gpr[4] = value; }

    public ulong Rbp { get => Context->Gpr[5]; set => Context->Gpr[5] = value; }

    public ulong Rsi { get => Context->Gpr[6]; set => Context->Gpr[6] = value; }

    public ulong Rdi { get => Context->Gpr[7]; set => Context->Gpr[7] = value; }

    public ulong Flags
    {
        get => Processor.Flags;
        set => (Context->ArithmeticFlags, Context->SystemFlags) = (value & 0x8d5, (value & ~0x8d5UL) | 2);
    }

    public void Dispose()
    {
        Processor.Dispose();
        Memory.Dispose();
        NativeMemory.AlignedFree(_context);
        NativeMemory.AlignedFree(_xsave);
    }

    public void Write<T>(ulong address, T value) where T : unmanaged => Assert.True(Memory.TryWrite(address, value));

    public T Read<T>(ulong address) where T : unmanaged
    {
        Assert.True(Memory.TryRead(address, out T value));
        return value;
    }

    /// <summary>The values pushed from RSP up.</summary>
    public ulong[] Stack(int count, int width, ulong linearBase = 0)
    {
        var values = new ulong[count];
        for (var n = 0; n < count; n++)
        {
            Assert.True(Processor.TryReadForDebugger(linearBase + Rsp + (ulong)(n * width), MemoryMarshal.AsBytes(values.AsSpan(n, 1))[..width]));
        }
        return values;
    }

    // Modes

    public static ulong Descriptor(uint descriptorBase, uint limit, uint type, uint dpl = 0, bool system = false, bool present = true, bool big = false, bool isLong = false, bool granular = false) =>
        (limit & 0xffff) | (ulong)(descriptorBase & 0xff_ffff) << 16 | (ulong)type << 40 | (system ? 0 : 1UL << 44) | (ulong)dpl << 45 | (present ? 1UL << 47 : 0)
        | (ulong)(limit >> 16 & 15) << 48 | (isLong ? 1UL << 53 : 0) | (big ? 1UL << 54 : 0) | (granular ? 1UL << 55 : 0) | (ulong)(descriptorBase >> 24) << 56;

    public static ulong Gate(ushort selector, uint offset, uint type, uint dpl = 0, bool present = true, uint low = 0) =>
        (offset & 0xffff) | (ulong)selector << 16 | (ulong)low << 32 | (ulong)type << 40 | (ulong)dpl << 45 | (present ? 1UL << 47 : 0) | (ulong)(offset >> 16) << 48;

    /// <summary>A GDT with flat segments and a TSS, an empty IDT of 256 entries, and the registers that point to them.</summary>
    public void BuildTables()
    {
        Write(Gdt + 0, 0UL);
        Write(Gdt + 0x08, Descriptor(0, 0xfffff, 0xb, big: true, granular: true));
        Write(Gdt + 0x10, Descriptor(0, 0xfffff, 0x3, big: true, granular: true));
        Write(Gdt + 0x18, Descriptor(0, 0xfffff, 0xb, isLong: true, granular: true));
        Write(Gdt + 0x20, Descriptor(0, 0xfffff, 0xb, dpl: 3, big: true, granular: true));
        Write(Gdt + 0x28, Descriptor(0, 0xfffff, 0x3, dpl: 3, big: true, granular: true));
        Write(Gdt + 0x30, Descriptor(0, 0xfffff, 0xb, dpl: 3, isLong: true, granular: true));
        Write(Gdt + 0x38, Descriptor(0, 0xffff, 0xb));
        Write(Gdt + 0x40, Descriptor((uint)Tss, 0x20ff, 0x9, system: true));
        Write(Gdt + 0x48, 0UL);
        (Context->GdtrBase, Context->GdtrLimit) = (Gdt, 0xfff);
        (Context->IdtrBase, Context->IdtrLimit) = (Idt, 0xfff);
        Context->Tr = new SegmentRegister { Selector = TssSelector, Base = Tss, Limit = 0x20ff, Attributes = 0x8b };
        // 32-bit layout: ESP0, SS0; the I/O map is outside the limit.
        Write(Tss + 4, (uint)KernelStack);
        Write(Tss + 8, (uint)Data32);
        Write(Tss + 102, (ushort)0x2100);
    }

    public void EnterReal()
    {
        Context->Cs = new SegmentRegister { Limit = 0xffff, Attributes = 0x9b };
        foreach (var n in (int[])[0, 2, 3, 4, 5]) (&Context->Es)[n] = new SegmentRegister { Limit = 0xffff, Attributes = 0x93 };
        (Context->Rip, Rsp) = (Code, StackTop);
        (Context->IdtrBase, Context->IdtrLimit) = (0, 0x3ff);
    }

    public void EnterProtected(uint cpl = 0)
    {
        BuildTables();
        Context->Cr0 |= 1;
        LoadSegment(1, cpl == 0 ? Code32 : UserCode32);
        foreach (var n in (int[])[0, 2, 3, 4, 5]) LoadSegment(n, cpl == 0 ? Data32 : UserData32);
        Context->Cpl = cpl;
        (Context->Rip, Rsp) = (Code, StackTop);
    }

    public void EnterVirtual8086()
    {
        EnterProtected();
        Flags = 1 << 17;
        for (var n = 0; n < 6; n++) (&Context->Es)[n] = new SegmentRegister { Limit = 0xffff, Attributes = 0xf3 };
        Context->Cpl = 3;
    }

    /// <summary>64-bit mode with the first 8 MiB mapped one to one by 2 MiB pages, user and writable.</summary>
    public void EnterLong(uint cpl = 0)
    {
        BuildTables();
        Write(Tss + 4, KernelStack);
        MapIdentity();
        Context->Cr0 |= 0x8000_0001;
        Context->Cr4 |= 0x20;
        Context->Efer = 0xd00;
        Context->Cr3 = PageTables;
        LoadSegment(1, cpl == 0 ? Code64 : UserCode64);
        foreach (var n in (int[])[0, 2, 3, 4, 5]) LoadSegment(n, cpl == 0 ? Data32 : UserData32);
        Context->Cpl = cpl;
        (Context->Rip, Rsp) = (Code, StackTop);
    }

    public void MapIdentity()
    {
        Write(PageTables, (PageTables + 0x1000) | 7);
        Write(PageTables + 0x1000, (PageTables + 0x2000) | 7);
        for (var n = 0ul; n < 4; n++) Write(PageTables + 0x2000 + n * 8, n << 21 | 0x87);
    }

    public void LoadSegment(int number, ushort selector)
    {
        var raw = Read<ulong>(Gdt + (selector & 0xfff8u));
        (&Context->Es)[number] = new Descriptor(raw).ToRegister(selector);
    }

    // Running

    /// <summary>Puts code at CS:RIP and executes its first instruction.</summary>
    public Outcome Run(params ReadOnlySpan<byte> code)
    {
        Assert.True(Memory.TryWrite(Context->Cs.Base + Context->Rip, code));
        return Step();
    }

    /// <summary>Moves RIP, then as <see cref="Run"/>.</summary>
    public Outcome RunAt(ulong rip, params ReadOnlySpan<byte> code)
    {
        Context->Rip = rip;
        return Run(code);
    }

    /// <summary>Executes the instruction at CS:RIP.</summary>
    public Outcome Step()
    {
        Span<byte> bytes = stackalloc byte[15];
        Assert.True(Processor.TryReadForDebugger(Context->Cs.Base + Context->Rip, bytes));
        var size = Processor.Is64Bit ? CodeSize.Code64 : (Context->Cs.Attributes & 0x4000) != 0 ? CodeSize.Code32 : CodeSize.Code16;
        Assert.Equal(DecodeResult.Ok, InstructionDecoder.Decode(bytes, size, Processor.Model.InstructionSet, out var instruction));
        return Processor.Execute(in instruction);
    }

    public void AssertFault(Outcome outcome, byte vector, uint? code = null)
    {
        Assert.Equal(Outcome.Fault, outcome);
        Assert.Equal(vector, Processor.Fault.Vector);
        Assert.Equal(code is not null, Processor.Fault.HasErrorCode);
        if (code is not null) Assert.Equal(code.Value, Processor.Fault.ErrorCode);
    }
}

/// <summary>Remembers port and memory accesses; reads give what was queued, else ones.</summary>
internal sealed class RecordingBus : IVcpuBus
{
    public List<(string What, ulong Address, ulong Value, int Size)> Log { get; } = [];

    public Queue<ulong> Reads { get; } = new();

    public void ReadPort(ushort port, Span<byte> data) => Read("in", port, data);

    public void WritePort(ushort port, ReadOnlySpan<byte> data) => Write("out", port, data);

    public void ReadMemory(ulong address, Span<byte> data) => Read("load", address, data);

    public void WriteMemory(ulong address, ReadOnlySpan<byte> data) => Write("store", address, data);

    private void Read(string what, ulong address, Span<byte> data)
    {
        var value = Reads.Count > 0 ? Reads.Dequeue() : ulong.MaxValue;
        MemoryMarshal.AsBytes(new ReadOnlySpan<ulong>(ref value))[..data.Length].CopyTo(data);
        Log.Add((what, address, 0, data.Length));
    }

    private void Write(string what, ulong address, ReadOnlySpan<byte> data)
    {
        ulong value = 0;
        data.CopyTo(MemoryMarshal.AsBytes(new Span<ulong>(ref value)));
        Log.Add((what, address, value, data.Length));
    }
}

internal sealed class FakeApic : ILocalInterruptController, IBusDevice
{
    public Dictionary<uint, ulong> Msrs { get; } = new() { [0x1b] = 0xfee0_0900 };

    public List<(ulong Offset, uint Value)> Writes { get; } = [];

    public bool HasInterrupt => false;

    public byte TaskPriority { get; set; }

    public ulong? MmioBase { get; set; } = 0xfee0_0000;

    public IBusDevice Mmio => this;

    public int Acknowledge() => -1;

    public bool TryReadMsr(uint index, out ulong value) => Msrs.TryGetValue(index, out value);

    public bool TryWriteMsr(uint index, ulong value)
    {
        Msrs[index] = value;
        return true;
    }

    public int Inits { get; private set; }

    public void Init() => Inits++;

    public void Reset() => Msrs.Clear();

    public AccessResult Read(ulong offset, Span<byte> data)
    {
        data.Fill(0x5a);
        return AccessResult.Ok;
    }

    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        Writes.Add((offset, MemoryMarshal.Read<uint>(data)));
        return AccessResult.Ok;
    }
}

internal sealed class FakeClock : IMachineClock
{
    public long NowNanoseconds { get; set; } = 5_000_000_000;

    public DateTimeOffset WallClock { get; set; } = DateTimeOffset.UnixEpoch.AddSeconds(1_700_000_005);

    public ulong TscHz { get; set; } = 2_000_000_000;

    public ulong Tsc { get; set; } = 10_000_000_000;

    public ulong ReadTsc() => Tsc;

    public IDeviceTimer CreateTimer(Action expired) => throw new NotSupportedException("a processor by itself has no timers");
}

internal sealed class RecordingCache : ITranslationCache
{
    public List<string> Calls { get; } = [];

    public void PageInvalidated(ulong linear) => Calls.Add($"page {linear:x}");

    public void AddressSpaceChanged(ulong oldCr3, ulong newCr3, bool keepNonGlobal) => Calls.Add($"space {oldCr3:x} {newCr3:x} {keepNonGlobal}");

    public void Flush(bool global) => Calls.Add($"flush {global}");

    public void FlushPcid(ushort pcid) => Calls.Add($"pcid {pcid:x}");

    public void WriteProtectionSet() => Calls.Add("write protection");

    public void IdentificationChanged() => Calls.Add("identification");

    public void ModeChanged() => Calls.Add("mode");

    public void SegmentBaseOrLimitChanged() => Calls.Add("segment");

    public void DebugRegistersChanged() => Calls.Add("debug");

    public void RamWritten(ulong physical, int length) => Calls.Add($"ram {physical:x} {length}");
}
