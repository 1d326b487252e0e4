// A memory of which a part is elsewhere yet (MissingMemory).
using Lamina.Host;

namespace Lamina.Core.Memory;

public sealed partial class GuestMemory
{
    private volatile MissingMemory? _missing;

    /// <summary>What of the RAM is elsewhere yet; null where nothing is.</summary>
    public MissingMemory? Missing => _missing;

    /// <summary>Whether a part of the RAM can be elsewhere while it is used.</summary>
    public bool CanMiss => View.Regions.All(region => !region.IsMain || region.Backing == MemoryBacking.Anonymous);

    /// <summary>Begins to have a part of the RAM be elsewhere, which nobody uses at this moment.</summary>
    /// <param name="faults">Tells who touches it; the memory's from here on.</param>
    /// <exception cref="HostException">The host cannot have that.</exception>
    public MissingMemory BeginMissing(PageFaults faults)
    {
        lock (_gate)
        {
            if (_missing is not null || !CanMiss) throw new HostException("no part of this memory can be elsewhere");
            return _missing = new MissingMemory(_reservation, faults, Ranges);
        }
    }

    /// <summary>All of it is there.</summary>
    public void EndMissing()
    {
        var missing = _missing;
        _missing = null;
        missing?.Dispose();
    }

    /// <summary>Waits until a part of the RAM is there, for who touches it by its address on the host (<see cref="HostBase"/>) in managed code.</summary>
    /// <exception cref="HostException">It will not come.</exception>
    public void Require(ulong address, ulong length)
    {
        if (!TryRequire(address, length)) throw Lost();
    }

    /// <summary>The same; false where it will not come.</summary>
    public bool TryRequire(ulong address, ulong length) => _missing is not { } missing || missing.Require(address, length);

    /// <summary>Refuses to go on with a memory of which a part will not come: for CPUs, before they access what is no memory.</summary>
    /// <exception cref="HostException">It will not.</exception>
    public void RequireNotLost()
    {
        if (_missing is { IsLost: true }) throw Lost();
    }

    private static HostException Lost() => new("a part of the machine's memory has not come");

    private void RequireNoneMissing()
    {
        if (_missing is not null) throw new HostException("a part of the machine's memory is on its way yet");
    }
}
