// An NBD export in the place of a file: what formats ask of a file is asked of its server. It has the length that it has; a size that is no whole number of blocks
// ends with the last whole one.
using Lamina.Backends.Nbd;
using Lamina.Backends.Nbd.Client;
using Lamina.Core.Inspection;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>An export.</summary>
internal sealed class NbdImageFile : IImageFile, IInspected
{
    /// <summary>The most bytes of a request that moves data; what is longer is taken apart.</summary>
    internal const int MostAtOnce = 4 << 20;

    // Blocks that requests are put together to (DirectImageFile), and the sectors that guests are told of.
    private const int LargestSector = 4096, SmallestSector = 512;

    // Of what moves no data. A server may do it by writing, and is to answer in time.
    private const ulong MostCleared = 256 << 20;

    // A server is asked for what is allocated of so much at a time.
    private const ulong MostLookedAt = 1 << 30;

    private readonly NbdClient _client;
    private readonly DiskCache _cache;
    private readonly ulong _block;
    private readonly int _most;
    private readonly Lock _gate = new();
    private (ulong From, ulong To) _data;

    private NbdImageFile(NbdClient client, DiskCache cache)
    {
        (_client, _cache) = (client, cache);
        SectorSize = client.Export.MinimumBlock <= SmallestSector ? SmallestSector : LargestSector;
        _block = (ulong)SectorSize;
        Length = client.Export.Size / _block * _block;
        _most = (int)Math.Min(client.Export.MostPayload, MostAtOnce) / SectorSize * SectorSize;
    }

    /// <summary>Connects.</summary>
    /// <param name="options">What to open.</param>
    /// <param name="connections">The most connections.</param>
    /// <exception cref="IOException">It cannot be had; the message is a sentence.</exception>
    internal static NbdImageFile Open(DiskOptions options, int connections = NbdClient.MostConnections)
    {
        var client = NbdClient.Open(NbdUri.Parse(options.Path), new NbdClientOptions { TlsFolder = options.TlsFolder, Patience = options.Patience ?? TimeSpan.FromSeconds(NbdClient.UsualPatienceSeconds), Connections = connections, Log = options.Log });
        try
        {
            var export = client.Export;
            if (export.Size > long.MaxValue) throw new DiskImageException($"the export {options.Path} is said to have {export.Size} bytes, which is no disk's size");
            if (export.MinimumBlock > LargestSector || export.MostPayload < LargestSector) throw new DiskImageException($"the export {options.Path} is read in blocks of {export.MinimumBlock} bytes, {export.MostPayload} at most, and there are disks of up to {LargestSector}; have its server take such");
            if (!options.ReadOnly && export.Flags.HasFlag(NbdFlags.ReadOnly)) throw new DiskImageException($"the export {options.Path} is served to be read only; say so (ro with --disk), or have its server take writes");
            return new NbdImageFile(client, options.Cache);
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public string Name => _client.Name;

    /// <inheritdoc/>
    public string Identity => _client.Name;

    /// <inheritdoc/>
    public ulong Length { get; }

    /// <inheritdoc/>
    public int SectorSize { get; }

    /// <summary>What the server says of it, by name.</summary>
    internal IReadOnlyList<(string Name, string Value)> Properties =>
    [
        ("read only", Can(NbdFlags.ReadOnly)),
        ("flush", Can(NbdFlags.Flush)),
        ("discard", Can(NbdFlags.Trim)),
        ("write zeroes", Can(NbdFlags.WriteZeroes)),
        ("connections", Can(NbdFlags.MultiConnection) == "yes" ? "several" : "one"),
        ("allocation", _client.Export.AllocationId is null ? "not told" : "told"),
        ("smallest block", $"{_client.Export.MinimumBlock}"),
    ];

    private bool IsDurable => _cache == DiskCache.WriteThrough && _client.Export.Flags.HasFlag(NbdFlags.Fua);

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => _client.Inspect(node);

    /// <inheritdoc/>
    public void Read(ulong offset, Span<byte> into)
    {
        using var buffer = new HostBuffer((int)Math.Max(Qcow2.Qcow2Spec.RoundUp((ulong)into.Length + _block, _block), _block));
        var skip = (int)(offset % _block);
        var whole = (int)Qcow2.Qcow2Spec.RoundUp((ulong)(skip + into.Length), _block);
        Read(offset - (ulong)skip, [IoVector.Of(buffer, 0, whole)]);
        buffer.Span.Slice(skip, into.Length).CopyTo(into);
    }

    /// <inheritdoc/>
    public void Read(ulong offset, ReadOnlySpan<IoVector> into) => Move(NbdCommand.Read, NbdCommandFlags.None, offset, into);

    /// <inheritdoc/>
    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into) => false;

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<byte> from) => throw new DiskImageException($"{Name} is a disk as it is, and nothing but a disk's own blocks is written to it");

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<IoVector> from) => Move(NbdCommand.Write, IsDurable ? NbdCommandFlags.Fua : NbdCommandFlags.None, offset, from);

    /// <inheritdoc/>
    public void Sync()
    {
        // Writes that each were durable leave nothing to do.
        if (_cache != DiskCache.Unsafe && !IsDurable && _client.Export.Flags.HasFlag(NbdFlags.Flush)) _client.Carry(NbdCommand.Flush, NbdCommandFlags.None, 0, 0, []);
    }

    /// <inheritdoc/>
    public void SetLength(ulong length)
    {
        if (length != Length) throw new DiskImageException($"{Name} has {Length} bytes, which its server alone can change");
    }

    /// <inheritdoc/>
    public bool TryZero(ulong offset, ulong length, bool release)
    {
        if (!_client.Export.Flags.HasFlag(NbdFlags.WriteZeroes) || (offset | length) % _block != 0) return false;
        var flags = (release ? NbdCommandFlags.None : NbdCommandFlags.NoHole) | (IsDurable ? NbdCommandFlags.Fua : NbdCommandFlags.None);
        try
        {
            Clear(NbdCommand.WriteZeroes, flags, offset, length);
            return true;
        }
        catch (NbdRefusedException refused) when (refused.Error is NbdError.NotSupported or NbdError.TooLarge or NbdError.Invalid)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Discard(ulong offset, ulong length)
    {
        if (!_client.Export.Flags.HasFlag(NbdFlags.Trim)) return;
        var (from, to) = (Qcow2.Qcow2Spec.RoundUp(offset, _block), (offset + length) / _block * _block);
        if (from < to) Clear(NbdCommand.Trim, IsDurable ? NbdCommandFlags.Fua : NbdCommandFlags.None, from, to - from);
    }

    /// <inheritdoc/>
    public (bool IsHole, ulong End) Extent(ulong offset)
    {
        if (_client.Export.AllocationId is null) return (false, Length);
        lock (_gate)
        {
            // Data that has become zeros meanwhile may still be taken for data.
            if (offset >= _data.From && offset < _data.To) return (false, _data.To);
        }
        var at = offset / _block * _block;
        var most = (uint)Math.Min(Length - at, MostLookedAt);
        if (_client.Carry(NbdCommand.BlockStatus, NbdCommandFlags.One, at, most, []).Extent is not { } extent) return (false, Length);
        var (isZero, end) = ((extent.Flags & NbdSpec.StateZero) != 0, at + Math.Min(extent.Length, most));
        // A server may tell of parts that are no blocks; a block with anything in it is data.
        end = isZero ? end / _block * _block : Math.Min(Qcow2.Qcow2Spec.RoundUp(end, _block), Length);
        if (isZero && end > offset) return (true, end);
        end = Math.Max(end, at + _block);
        lock (_gate) _data = (at, end);
        return (false, end);
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private void Move(NbdCommand command, NbdCommandFlags flags, ulong offset, ReadOnlySpan<IoVector> vectors)
    {
        var length = IoVectors.Length(vectors);
        var inside = Math.Min(length, offset < Length ? Length - offset : 0);
        if (command == NbdCommand.Write && inside < length) throw new HostException($"{Name} ends at {Length}, and nothing can be written behind that") { IsDiskFull = true };
        using var cursor = new VectorCursor(vectors);
        for (ulong done = 0; done < inside;)
        {
            var part = (uint)Math.Min(inside - done, (ulong)_most);
            _client.Carry(command, flags, offset + done, part, cursor.Take(part).ToArray());
            done += part;
        }
        if (inside < length) IoVectors.ClearFrom(vectors, inside);
    }

    private void Clear(NbdCommand command, NbdCommandFlags flags, ulong offset, ulong length)
    {
        for (ulong done = 0; done < length;)
        {
            var part = (uint)Math.Min(length - done, MostCleared);
            _client.Carry(command, flags, offset + done, part, []);
            done += part;
        }
    }

    private string Can(NbdFlags flag) => _client.Export.Flags.HasFlag(flag) ? "yes" : "no";
}
