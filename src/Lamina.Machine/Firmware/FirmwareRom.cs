// Where firmware lies: as a ROM that ends at 4 GiB, with which a processor begins, and its last part once more below 1 MiB, where real
// mode reaches it. That copy is RAM which the firmware works in, as behind a PC's shadowing; each reset makes it anew.
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;

namespace Lamina.Firmware;

/// <summary>Firmware in a machine's memory.</summary>
internal sealed class FirmwareRom : ISavedUnit, IInspected, IDisposable
{
    /// <summary>Where it ends, with what a processor begins with.</summary>
    internal const ulong End = 1ul << 32;

    private const ulong CopyEnd = 1ul << 20;

    // SeaBIOS with all its parts is as long. Of a longer image the last part alone is written for real mode.
    private const int LongestCopy = 256 << 10;

    private readonly GuestMemory _memory;
    private byte[] _bytes;
    private MemoryRegion _region;

    /// <summary>Puts it to its place.</summary>
    /// <exception cref="Host.HostException">The host has no memory for it.</exception>
    internal FirmwareRom(GuestMemory memory, FirmwareImage image)
    {
        (_memory, _bytes) = (memory, image.Bytes);
        _region = Map();
    }

    private int CopyLength => Math.Min(_bytes.Length, LongestCopy);

    /// <summary>Makes the copy below 1 MiB. All of RAM is zero.</summary>
    internal void Renew()
    {
        if (!_memory.TryWrite(CopyEnd - (ulong)CopyLength, _bytes.AsSpan(_bytes.Length - CopyLength))) throw new InvalidOperationException("a board has no RAM below 1 MiB");
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.SayHex("start", End - (ulong)_bytes.Length);
        node.Say("bytes", _bytes.Length);
        node.SayHex("copy", CopyEnd - (ulong)CopyLength);
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("firmware ROM", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields) => fields.Bytes(1, ref _bytes, FirmwareImage.Longest);

    /// <summary>Takes up what the machine began with: the file may be a newer one by now.</summary>
    public void Load(SavedFields fields)
    {
        fields.Bytes(1, ref _bytes, FirmwareImage.Longest);
        SavedFields.Require(FirmwareImage.WhyNot(_bytes) is null, "a ROM without firmware");
        _region.Dispose();
        _region = Map();
    }

    /// <inheritdoc/>
    public void Dispose() => _region.Dispose();

    private MemoryRegion Map()
    {
        var region = _memory.Map(End - (ulong)_bytes.Length, (ulong)_bytes.Length, MemoryKind.Rom, "firmware");
        region.TryWrite(0, _bytes);
        return region;
    }
}
