// The one contract behind which the two layouts of a virtqueue hide (split: virtio 1.2, 2.7; packed: 2.8), and the few
// ways in which they touch guest memory. A ring is not thread safe: its virtqueue's gate guards it. It lives from the
// moment a queue starts until it stops; a restart is a fresh ring, and a machine that is loaded puts one to where it stood.
using System.Runtime.InteropServices;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.Rings;

/// <summary>Where the driver put a queue, as the transport's registers say.</summary>
/// <param name="Size">The number of descriptors.</param>
/// <param name="DescriptorArea">Guest-physical address of the descriptor table or ring.</param>
/// <param name="DriverArea">Guest-physical address of the available ring or the driver's event suppression.</param>
/// <param name="DeviceArea">Guest-physical address of the used ring or the device's event suppression.</param>
internal readonly record struct RingLayout(uint Size, ulong DescriptorArea, ulong DriverArea, ulong DeviceArea);

/// <summary>What came of an attempt to take a buffer.</summary>
internal enum TakeResult
{
    /// <summary>None is available.</summary>
    Empty,

    /// <summary>One was taken.</summary>
    Taken,

    /// <summary>The driver broke a rule from which the queue cannot recover.</summary>
    Broken,
}

/// <summary>The device's side of a ring in guest memory.</summary>
internal interface IRing
{
    /// <summary>Takes the next available buffer into a fresh chain.</summary>
    /// <param name="chain">Filled where a buffer was taken.</param>
    /// <param name="reason">What the driver did wrong, where it is broken.</param>
    TakeResult TryTake(DescriptorChain chain, out string? reason);

    /// <summary>Gives a buffer back with the number of bytes written to it.</summary>
    /// <param name="chain">The buffer.</param>
    /// <param name="written">Bytes, from the start of its writable part.</param>
    /// <param name="more">Whether the driver must not see it before the buffer that is given back next.</param>
    void Complete(DescriptorChain chain, uint written, bool more);

    /// <summary>Whether a buffer is available, as far as that can be told without taking it.</summary>
    bool HasAvailable { get; }

    /// <summary>Asks the driver to notify when it adds a buffer; one that is there already may go without.</summary>
    void AskForNotification();

    /// <summary>Whether the driver wants to be told of the buffers given back since this was asked last.</summary>
    bool TakeSignal();

    /// <summary>
    /// Writes or reads where the device stands, as the fields 1 to 8 of its queue. Nobody is within <see cref="Complete"/>, so no
    /// buffer is half given back.
    /// </summary>
    void Exchange(SavedFields fields);

    /// <summary>Says where the device stands.</summary>
    void Inspect(InspectNode node);

    /// <summary>Whether the device, where it stands, has so many buffers that it took and did not give back.</summary>
    /// <param name="buffers">How many.</param>
    /// <param name="descriptors">The sum of their <see cref="DescriptorChain.RingDescriptors"/>.</param>
    bool HasInHand(int buffers, ulong descriptors);
}

/// <summary>Loads and stores of ring fields. The addresses were checked when the ring was made, so failures cannot be.</summary>
internal static class RingMemory
{
    /// <summary>Loads a field that the driver writes; later loads are not done before it.</summary>
    internal static ushort Load(GuestMemory memory, ulong address) =>
        memory.TrySlice(address, sizeof(ushort), out var bytes) ? Volatile.Read(ref MemoryMarshal.AsRef<ushort>(bytes)) : (ushort)0;

    /// <summary>Stores a field that the driver reads; earlier stores are done before it.</summary>
    internal static void Store(GuestMemory memory, ulong address, ushort value)
    {
        if (!memory.TrySlice(address, sizeof(ushort), out var bytes)) return;
        Volatile.Write(ref MemoryMarshal.AsRef<ushort>(bytes), value);
        memory.NotifyWritten(address, sizeof(ushort));
    }

    /// <summary>Whether a counter that moved to <paramref name="current"/> in <paramref name="steps"/> steps passed the entry numbered <paramref name="wanted"/>.</summary>
    internal static bool Passed(ushort wanted, ushort current, ushort steps) => (ushort)(current - wanted - 1) < steps;
}
