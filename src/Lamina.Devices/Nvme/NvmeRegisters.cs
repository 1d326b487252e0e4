// What a controller remembers beside its queues.
using System.Buffers.Binary;
using Lamina.Core.State;
using static Lamina.Devices.Nvme.NvmeSpec;

namespace Lamina.Devices.Nvme;

/// <summary>How a command ended.</summary>
/// <param name="Status">Its status.</param>
/// <param name="Value">What else it says: the first double word of its entry.</param>
internal readonly record struct NvmeResult(NvmeStatus Status, uint Value = 0);

/// <summary>Events that a driver can ask to be told of (5.2.1): the type in bits 0 to 2, what it is in bits 8 to 15, the log page in bits 16 to 23.</summary>
internal static class NvmeEvents
{
    internal const uint InvalidDoorbell = 0x01_00_00, InvalidValue = 0x01_01_00;

    internal static int TypeOf(uint told) => (int)(told & 7);

    internal static int PageOf(uint told) => (int)(told >> 16 & 0xff);
}

/// <summary>Registers, features, events.</summary>
internal sealed record NvmeRegisters
{
    private const int MostEvents = 8, Features = 0x0c;

    internal uint Configuration, Status, Masked, AdminAttributes;
    internal ulong AdminSubmission, AdminCompletion;

    /// <summary>The driver asked for a shutdown that is not carried out yet.</summary>
    internal bool ShutsDown;

    /// <summary>Where the driver writes its places, and where it looks whether to ring; 0 where it rings always.</summary>
    internal ulong Shadow, EventIndexes;

    /// <summary>The value of each feature.</summary>
    internal readonly uint[] Feature = new uint[Features];

    /// <summary>Commands that ask for an event.</summary>
    internal List<ushort> EventRequests { get; } = [];

    /// <summary>Events that nobody was told of yet.</summary>
    internal List<uint> Events { get; } = [];

    /// <summary>Types of events that were told, and whose log page was not read since.</summary>
    internal byte EventsToldOf;

    internal NvmeRegisters() => SetFeatures();

    /// <summary>What a driver reads (3.1).</summary>
    internal void Write(Span<byte> image)
    {
        image.Clear();
        BinaryPrimitives.WriteUInt64LittleEndian(image[Capabilities..], CapabilitiesValue);
        BinaryPrimitives.WriteUInt32LittleEndian(image[VersionRegister..], NvmeSpec.Version);
        BinaryPrimitives.WriteUInt32LittleEndian(image[MaskSet..], Masked);
        BinaryPrimitives.WriteUInt32LittleEndian(image[MaskClear..], Masked);
        BinaryPrimitives.WriteUInt32LittleEndian(image[NvmeSpec.Configuration..], Configuration);
        BinaryPrimitives.WriteUInt32LittleEndian(image[StatusRegister..], Status);
        BinaryPrimitives.WriteUInt32LittleEndian(image[NvmeSpec.AdminAttributes..], AdminAttributes);
        BinaryPrimitives.WriteUInt64LittleEndian(image[NvmeSpec.AdminSubmission..], AdminSubmission);
        BinaryPrimitives.WriteUInt64LittleEndian(image[NvmeSpec.AdminCompletion..], AdminCompletion);
    }

    /// <summary>What a controller that is not enabled any more forgets: all but the places of the admin's queues (7.3.2).</summary>
    internal void Forget()
    {
        (Status, Masked, ShutsDown, Shadow, EventIndexes, EventsToldOf) = (0, 0, false, 0, 0, 0);
        EventRequests.Clear();
        Events.Clear();
        SetFeatures();
    }

    /// <summary>Notes an event, unless the same one waits already, or too many do.</summary>
    internal void Tell(uint what)
    {
        if (Events.Count < MostEvents && !Events.Contains(what)) Events.Add(what);
    }

    internal static void Exchange(SavedFields fields, ref NvmeRegisters registers)
    {
        fields.Value(1, ref registers.Configuration);
        fields.Value(2, ref registers.Status);
        fields.Value(3, ref registers.Masked);
        fields.Value(4, ref registers.AdminAttributes);
        fields.Value(5, ref registers.AdminSubmission);
        fields.Value(6, ref registers.AdminCompletion);
        fields.Value(7, ref registers.ShutsDown);
        fields.Value(8, ref registers.Shadow);
        fields.Value(9, ref registers.EventIndexes);
        fields.Values(10, registers.Feature);
        fields.Value(11, ref registers.EventsToldOf);
        // Lists of a bounded length, with how long they are.
        var (requests, events) = ((byte)registers.EventRequests.Count, (byte)registers.Events.Count);
        fields.Value(12, ref requests);
        fields.Value(13, ref events);
        SavedFields.Require(requests <= MostEventRequests && events <= MostEvents, "more events than it keeps");
        ushort[] commands = fields.IsLoading ? new ushort[requests] : [.. registers.EventRequests];
        uint[] told = fields.IsLoading ? new uint[events] : [.. registers.Events];
        fields.Values(14, commands);
        fields.Values(15, told);
        if (!fields.IsLoading) return;
        registers.EventRequests.Clear();
        registers.EventRequests.AddRange(commands);
        registers.Events.Clear();
        registers.Events.AddRange(told);
        SavedFields.Require((registers.AdminSubmission | registers.AdminCompletion | registers.Shadow | registers.EventIndexes) % PageLength == 0, "an address within a page");
    }

    private void SetFeatures()
    {
        Array.Clear(Feature);
        const uint anyBurst = 7, warmest = 343;
        Feature[(int)NvmeFeature.Arbitration] = anyBurst;
        Feature[(int)NvmeFeature.TemperatureThreshold] = warmest;
        Feature[(int)NvmeFeature.VolatileWriteCache] = 1;
    }
}
