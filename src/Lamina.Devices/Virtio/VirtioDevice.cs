// The contract between a virtio device (what it does with its queues) and the function that carries it (status, features,
// rings, transport). A device knows nothing of registers, interrupts, threads or rings.
using Lamina.Core.Work;

namespace Lamina.Devices.Virtio;

/// <summary>One queue of a device.</summary>
/// <param name="Size">The most descriptors that the driver may choose; a power of two up to 32768.</param>
/// <param name="Worker">Which of the device's workers serves it, from 0; queues that share one are served in turn.</param>
/// <param name="Polled">Whether its worker, which serves no other queue, may look for buffers by itself for a moment while they come
/// fast, which spares the driver notifications and interrupts. Buffers are then taken on that worker only.</param>
/// <param name="UnderWay">What of a polled queue goes on without its worker; or null.</param>
public readonly record struct VirtioQueueSpec(ushort Size, int Worker = 0, bool Polled = false, IUnderWay? UnderWay = null);

/// <summary>Buffers of a queue that the host works on by itself. Called on the queue's worker, also after the queue was stopped.</summary>
public interface IUnderWay
{
    /// <summary>Where the worker sleeps: an end wakes it.</summary>
    IWorkerPlace Place { get; }

    /// <summary>Whether one has ended.</summary>
    bool HasEnded { get; }

    /// <summary>Gives back what has ended.</summary>
    void End();
}

/// <summary>What a device may ask of the function that carries it. Any thread, any lock of the device held.</summary>
public interface IVirtioHost
{
    /// <summary>The device's queues, by index; the same objects for the device's whole life.</summary>
    IReadOnlyList<Virtqueue> Queues { get; }

    /// <summary>What was negotiated, the queues' own features included; null while no driver is ready.</summary>
    ulong? ActiveFeatures { get; }

    /// <summary>Has <see cref="IVirtioDevice.ProcessQueue"/> called soon on the queue's worker, if the queue is live.</summary>
    void WakeQueue(int index);

    /// <summary>Tells the driver that the configuration space changed; the device changed its generation before.</summary>
    void ConfigurationChanged();

    /// <summary>Declares the device broken until the driver resets it (DEVICE_NEEDS_RESET).</summary>
    /// <param name="reason">What the driver did wrong, for the log.</param>
    void Fail(string reason);
}

/// <summary>
/// A virtio device, apart from its transport. One that is <see cref="Core.State.ISavedUnit"/> as well can be saved: its fields leave out
/// the features, which the host has again before they are loaded, and the buffers that it holds, which its queues yield once more;
/// <see cref="Activate"/> is not called then.
/// </summary>
public interface IVirtioDevice
{
    /// <summary>The device type.</summary>
    VirtioDeviceType Type { get; }

    /// <summary>The features of its type that it offers (bits 0 to 23 and 50 up); the queues' own features are the function's affair.</summary>
    ulong Features { get; }

    /// <summary>Its queues.</summary>
    IReadOnlyList<VirtioQueueSpec> Queues { get; }

    /// <summary>A number that differs whenever the configuration space may have changed; read with the device's lock taken.</summary>
    uint ConfigGeneration { get; }

    /// <summary>Names the function that carries it. Called once, before anything else.</summary>
    void Attach(IVirtioHost host);

    /// <summary>Whether it can work with a subset of what it offered.</summary>
    bool Accepts(ulong features);

    /// <summary>Reads configuration space; bytes behind its end are zeros. Any time, even before negotiation.</summary>
    void ReadConfig(int offset, Span<byte> data);

    /// <summary>Writes configuration space; what is read-only or behind its end stays. Any time.</summary>
    void WriteConfig(int offset, ReadOnlySpan<byte> data);

    /// <summary>The driver is ready (DRIVER_OK). Its queues become live right after, and each is processed once.</summary>
    /// <param name="features">What was negotiated, the queues' own features included.</param>
    void Activate(ulong features);

    /// <summary>
    /// Works on a live queue, on its worker, with the queue's gate held: takes buffers until there are none or it cannot
    /// go on, and for no longer than fairness to the worker's other queues allows.
    /// </summary>
    /// <returns>Whether to be called again soon although nobody asks for it.</returns>
    bool ProcessQueue(int index);

    /// <summary>A queue was stopped: returns when no buffer of it is worked on any more.</summary>
    void StopQueue(int index);

    /// <summary>
    /// The machine comes to rest, and no queue yields a buffer any more: returns when nothing that was taken is worked on, and the
    /// host's side of the device is left alone. Buffers may stay with the device.
    /// </summary>
    void Pause()
    {
    }

    /// <summary>The machine goes on: takes up what was held back meanwhile. Every queue is processed once right after.</summary>
    void Resume()
    {
    }

    /// <summary>All queues were stopped: returns when none of their buffers is worked on any more, everything forgotten.</summary>
    void Reset();
}

/// <summary>Helps devices with configuration spaces that fit a small structure.</summary>
internal static class ConfigSpace
{
    /// <summary>Copies a part of a space of which <paramref name="image"/> is all; zeros behind it.</summary>
    internal static void Read(ReadOnlySpan<byte> image, int offset, Span<byte> data)
    {
        data.Clear();
        if (offset >= image.Length) return;
        var part = image[offset..];
        part[..Math.Min(part.Length, data.Length)].CopyTo(data);
    }
}
