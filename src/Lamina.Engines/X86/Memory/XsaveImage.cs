// The guest's x87 and vector registers as they lie in the vCPU's XSAVE image while C# runs. Standard format
// (SDM vol. 1, 13.4), saved by XSAVE64 with every component that XCR0 may have. A component whose XSTATE_BV bit is clear is in its
// initial state whatever the bytes say. One that the CPU model lacks has no place in the image and is never in use: XRSTOR would fault.
using Lamina.Engines.X86.Cpuid;

namespace Lamina.Engines.X86.Memory;

/// <summary>A view of an XSAVE image.</summary>
internal readonly unsafe struct XsaveImage(byte* area, CpuModel model)
{
    public const int X87 = 0, Sse = 1, Avx = 2, Opmask = 5, ZmmHigh256 = 6, High16Zmm = 7;

    /// <summary>x87 and SSE, which a processor without XSAVE has, too.</summary>
    public const ulong LegacyComponents = 3;

    public const uint InitialMxcsr = 0x1f80;
    public const ushort InitialControl = 0x37f;

    // Offsets in the legacy region. SDM vol. 1, table 10-2.
    public const int ControlAt = 0, StatusAt = 2, TagAt = 4, OpcodeAt = 6, InstructionPointerAt = 8, DataPointerAt = 16, MxcsrAt = 24, MxcsrMaskAt = 28;
    public const int RegistersAt = 32, XmmAt = 160, LegacyEnd = 416, HeaderAt = 512, HeaderEnd = 576;

    /// <summary>The first byte.</summary>
    public byte* Area => area;

    /// <summary>XSTATE_BV: components that are not in their initial state.</summary>
    public ref ulong StateBits => ref *(ulong*)(area + HeaderAt);

    public ref uint Mxcsr => ref *(uint*)(area + MxcsrAt);

    /// <summary>The MXCSR bits that may be set. SDM vol. 1, 11.6.6.</summary>
    public uint MxcsrMask => *(uint*)(area + MxcsrMaskAt) is var mask and not 0 ? mask : 0xffbf;

    /// <summary>An x87 exception is flagged that is not masked.</summary>
    public bool HasPendingX87 => InUse(X87) && (*(ushort*)(area + StatusAt) & ~*(ushort*)(area + ControlAt) & 0x3f) != 0;

    public bool InUse(int component) => (StateBits >> component & 1) != 0;

    /// <summary>The bytes of a component from 2 on, which the CPU model has.</summary>
    public byte* Component(int component) =>
        Has(component) ? area + model.Component(component).Offset : throw new InvalidOperationException($"this CPU model has no XSAVE component {component}");

    /// <summary>Whether XRSTOR takes the image: no component that the CPU model lacks is in use, no bit of MXCSR is set that is reserved. SDM vol. 1, 13.8.1.</summary>
    public bool IsLoadable => (StateBits & ~(model.XcrMask | LegacyComponents)) == 0 && (Mxcsr & ~MxcsrMask) == 0;

    /// <summary>Makes it one that XRSTOR takes: what is not there is dropped.</summary>
    public void MakeLoadable()
    {
        StateBits &= model.XcrMask | LegacyComponents;
        Mxcsr &= MxcsrMask;
        new Span<byte>(area + HeaderAt + 8, HeaderEnd - HeaderAt - 8).Clear();
    }

    /// <summary>Makes a component's bytes mean what they say, starting from the initial state.</summary>
    public void Begin(int component)
    {
        if (InUse(component)) return;
        Initialize(component);
        StateBits |= 1UL << component;
    }

    /// <summary>Puts a component's initial values into its bytes. MXCSR is not touched.</summary>
    public void Initialize(int component)
    {
        switch (component)
        {
            case X87:
                new Span<byte>(area, MxcsrAt).Clear();
                new Span<byte>(area + RegistersAt, XmmAt - RegistersAt).Clear();
                *(ushort*)(area + ControlAt) = InitialControl;
                break;
            case Sse:
                new Span<byte>(area + XmmAt, LegacyEnd - XmmAt).Clear();
                break;
            default:
                new Span<byte>(Component(component), (int)model.Component(component).Size).Clear();
                break;
        }
    }

    /// <summary>Everything as after RESET (as FNINIT leaves the x87: what kernels expect of a firmware).</summary>
    public void Reset(uint mxcsrMask)
    {
        new Span<byte>(area, (int)model.StandardSize(model.XcrMask)).Clear();
        *(ushort*)(area + ControlAt) = InitialControl;
        *(uint*)(area + MxcsrMaskAt) = mxcsrMask;
        Mxcsr = InitialMxcsr;
    }

    /// <summary>Reads the low <c>data.Length</c> bytes (at most 64) of a vector register.</summary>
    public void ReadVector(int register, Span<byte> data)
    {
        var full = stackalloc ulong[8];
        if (register < 16)
        {
            if (InUse(Sse)) Copy(full, area + XmmAt + register * 16, 16);
            if (data.Length > 16 && InUse(Avx)) Copy(full + 2, Component(Avx) + register * 16, 16);
            if (data.Length > 32 && InUse(ZmmHigh256)) Copy(full + 4, Component(ZmmHigh256) + register * 32, 32);
        }
        else if (InUse(High16Zmm)) Copy(full, Component(High16Zmm) + (register - 16) * 64, 64);
        new ReadOnlySpan<byte>(full, data.Length).CopyTo(data);
    }

    /// <summary>Writes a vector register; the bytes above are zeroed, as VEX and EVEX instructions do.</summary>
    public void WriteVector(int register, ReadOnlySpan<byte> data)
    {
        var full = stackalloc ulong[8];
        data.CopyTo(new Span<byte>(full, 64));
        if (register >= 16)
        {
            Begin(High16Zmm);
            Copy(Component(High16Zmm) + (register - 16) * 64, full, 64);
            return;
        }
        Begin(Sse);
        Copy(area + XmmAt + register * 16, full, 16);
        WritePart(Avx, register * 16, full + 2, 2);
        WritePart(ZmmHigh256, register * 32, full + 4, 4);
    }

    // The part of a register that is in a component of its own. Zeros are its initial state: they start none, and a CPU model
    // without the component has nothing to write.
    private void WritePart(int component, int at, ulong* words, int count)
    {
        if (!InUse(component))
        {
            if (!Has(component) || !new ReadOnlySpan<ulong>(words, count).ContainsAnyExcept(0ul)) return;
            Begin(component);
        }
        Copy(Component(component) + at, words, count * 8);
    }

    private bool Has(int component) => (model.XcrMask >> component & 1) != 0;

    public ulong ReadMask(int register) => InUse(Opmask) ? ((ulong*)Component(Opmask))[register] : 0;

    public void WriteMask(int register, ulong value)
    {
        Begin(Opmask);
        ((ulong*)Component(Opmask))[register] = value;
    }

    private static void Copy(void* to, void* from, int length) => Buffer.MemoryCopy(from, to, length, length);
}
