// The words by which the test and the oracle's process hand batches of cases to each other.
using System.Runtime.InteropServices;

namespace Lamina.Tests.Engine.Conformance.Oracle;

/// <summary>Control words in shared memory.</summary>
[StructLayout(LayoutKind.Explicit, Size = 4096)]
internal struct OracleControl
{
    public const int RequestAt = 0, DoneAt = 4, CountAt = 8, IndexAt = 16, TickIndexAt = 24, ParentAt = 32, StageAt = 40;
    public const int TimeoutAt = 64, TimerAt = 80, AltStackAt = 128, ActionAt = 192, MaskAt = 256, LdtAt = 320, FilterAt = 512, ProgramAt = 640;

    /// <summary>Counts batches asked for; the oracle sleeps on it.</summary>
    [FieldOffset(RequestAt)] public uint Request;

    /// <summary>Counts batches done; the test sleeps on it.</summary>
    [FieldOffset(DoneAt)] public uint Done;

    /// <summary>Cases in the batch.</summary>
    [FieldOffset(CountAt)] public ulong Count;

    /// <summary>The case that runs.</summary>
    [FieldOffset(IndexAt)] public ulong Index;

    /// <summary>The case that ran at the last tick of the timer.</summary>
    [FieldOffset(TickIndexAt)] public ulong TickIndex;

    /// <summary>Process ID of the test.</summary>
    [FieldOffset(ParentAt)] public uint Parent;

    /// <summary>How far the oracle's start came; it says which system call failed.</summary>
    [FieldOffset(StageAt)] public ulong Stage;
}
