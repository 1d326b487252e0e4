// A guest in real mode: memory at the addresses where the case has it, an interrupt vector table that leads to the same handlers,
// and segments with the bases and limits of the case's descriptors, as a program leaves them that loads segments in protected
// mode and goes back ("unreal mode"). Interrupts push their frame on the case's own stack.
using System.Buffers.Binary;
using Iced.Intel;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Guest;

/// <summary>What real mode needs.</summary>
internal static class RealTables
{
    private const int FrameBytes = 6, VectorBytes = 1024;
    private const ulong Vectors = 0x3_8000;
    private const uint PrivilegeLevel = 0x60;

    /// <summary>The case's memory in guest-physical addresses, behind what all guests have.</summary>
    public static IEnumerable<MemoryRange> Ranges => [new(CaseLayout.Data, CaseLayout.DataSize), new(CaseLayout.Code, CaseLayout.CodeSize)];

    /// <summary>IDTR leads to a table that is out of the way: what the host has nothing at can be written here.</summary>
    public static DescriptorTableState IdtRegister => new() { Base = Vectors, Limit = VectorBytes - 1 };

    /// <summary>Writes the interrupt vector table (SDM vol. 3, 21.1.4) and the handlers, where they are not as they should be.</summary>
    public static void Write(GuestMemory memory)
    {
        Span<byte> vectors = stackalloc byte[VectorBytes];
        for (var vector = 0; vector < 256; vector++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(vectors[(vector * 4)..], (ushort)(vector * GuestTables.HandlerStride));
            BinaryPrimitives.WriteUInt16LittleEndian(vectors[(vector * 4 + 2)..], (ushort)(GuestTables.Handlers >> 4));
        }
        Check(memory.TrySlice(Vectors, VectorBytes, out var written));
        if (!written.SequenceEqual(vectors)) Check(memory.TryWrite(Vectors, vectors));
        for (var vector = 0; vector < 256; vector++) GuestTables.WriteHandler(memory, vector);
    }

    public static void WriteImage(GuestMemory memory, ReadOnlySpan<byte> image) =>
        Check(memory.TryWrite(CaseLayout.Data, image[..CaseLayout.DataSize]) && memory.TryWrite(CaseLayout.Code, image[CaseLayout.CodeInImage..]));

    public static void ReadImage(GuestMemory memory, Span<byte> image) =>
        Check(memory.TryRead(CaseLayout.Data, image[..CaseLayout.DataSize]) && memory.TryRead(CaseLayout.Code, image[CaseLayout.CodeInImage..]));

    /// <summary>A segment of the case without its privilege level: real mode has none.</summary>
    public static SegmentState Segment(ushort selector)
    {
        var segment = GuestTables.Segment(selector);
        segment.Attributes &= ~PrivilegeLevel;
        return segment;
    }

    /// <summary>Takes the frame of an interrupt off the stack of a state at a handler, where it is in the case's data.</summary>
    public static void TakeFrame(VcpuState state, CaseResult result)
    {
        var at = (long)state.Segments[SegmentIndex.Ss].Base + (ushort)state.Gpr[GprIndex.Rsp] - CaseLayout.Data;
        result.Vector = (int)state.Rip / GuestTables.HandlerStride;
        if (at is < 0 or > CaseLayout.DataSize - FrameBytes) return;
        var frame = result.Memory.AsSpan((int)at, FrameBytes);
        result.FrameAt = (int)at;
        (result.Rip, result.Rflags) = (BinaryPrimitives.ReadUInt16LittleEndian(frame), BinaryPrimitives.ReadUInt16LittleEndian(frame[4..]));
        result.Gpr[GprIndex.Rsp] = state.Gpr[GprIndex.Rsp] & ~0xfffful | (ushort)(state.Gpr[GprIndex.Rsp] + FrameBytes);
    }

    /// <summary>Whether real mode would end a case as a user's segments do on the host, and makes equal what cannot be.</summary>
    public static bool Align(TestCase test, CaseResult host, CaseResult guest)
    {
        // No paging, no privilege, no alignment checks; VEX and EVEX are not known (SDM vol. 2, 2.3.1).
        if (host.Vector is 13 or 14 or 17 || guest.FrameAt < 0) return false;
        if (guest.Vector == 6 && CaseReport.InstructionAt(test, guest.Rip) is var there && (there.Encoding != EncodingKind.Legacy || there.Mnemonic == Mnemonic.Arpl)) return false;
        // The frame lies where the host's stack has something else; it has no error code, and 16 flags.
        host.Memory.AsSpan(guest.FrameAt, FrameBytes).CopyTo(guest.Memory.AsSpan(guest.FrameAt));
        guest.Error = host.Error;
        guest.Rflags |= host.Rflags & ~0xfffful;
        return true;
    }

    private static void Check(bool done)
    {
        if (!done) throw new InvalidOperationException("the guest's memory is gone");
    }
}
