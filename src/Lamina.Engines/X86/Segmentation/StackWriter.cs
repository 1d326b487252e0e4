// A stack that is being built before SS and RSP are loaded: for interrupt frames and call gates.
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

/// <summary>Where a frame is written.</summary>
internal struct StackWriter
{
    /// <summary>The stack segment; ignored in 64-bit mode.</summary>
    public SegmentRegister Segment;

    /// <summary>The stack pointer so far.</summary>
    public ulong Pointer;

    /// <summary>Bytes of the pointer that count: 2, 4 or 8.</summary>
    public int AddressSize;

    /// <summary>Bytes that a push takes.</summary>
    public int Width;

    /// <summary>The error code of a #SS.</summary>
    public uint ErrorCode;

    /// <summary>The rights of the new privilege level.</summary>
    public AccessMode Mode;
}

internal sealed unsafe partial class Processor
{
    private static AccessMode ModeOf(uint cpl) => cpl == 3 ? AccessMode.User : AccessMode.Supervisor;

    private static int StackAddressSizeOf(in SegmentRegister stack) => (stack.Attributes & SegmentAttributes.DB) != 0 ? 4 : 2;

    private bool TryPush(ref StackWriter stack, ulong value)
    {
        var mask = MaskOf(stack.AddressSize);
        var next = (stack.Pointer - (ulong)stack.Width) & mask;
        ulong linear;
        if (stack.AddressSize == 8)
        {
            linear = next;
            if (!IsCanonical(linear) || !IsCanonical(linear + (ulong)(stack.Width - 1))) return StackFault(stack.ErrorCode);
        }
        else
        {
            linear = (stack.Segment.Base + next) & uint.MaxValue;
            if (!WithinLimit(in stack.Segment, (uint)next, stack.Width)) return StackFault(stack.ErrorCode);
        }
        if (!TryWriteLinear(linear, stack.Width, value & MaskOf(stack.Width), stack.Mode)) return false;
        stack.Pointer = next;
        return true;
    }

    /// <summary>The current stack, to push at the current privilege.</summary>
    private StackWriter CurrentStack(int width, uint errorCode) => new()
    {
        Segment = Context->Ss,
        Pointer = StackPointer,
        AddressSize = StackAddressSize,
        Width = width,
        ErrorCode = errorCode,
        Mode = AccessMode.Current,
    };

    /// <summary>Loads SS:RSP from a finished frame on a new stack; bits of RSP above the address size stay.</summary>
    private void SwitchStack(in StackWriter stack)
    {
        SetSegment(Core.Engine.SegmentIndex.Ss, in stack.Segment);
        WriteGpr(Core.Engine.GprIndex.Rsp, stack.AddressSize, stack.Pointer);
    }
}
