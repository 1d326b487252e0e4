// An image file in memory that remembers what a real disk may lose: until a sync, every sector of every write may or may
// not be there after a power loss, whatever order they were made in.
using Lamina.Backends.Disk;
using Lamina.Host.Io;

namespace Lamina.Tests.Backends.Disk;

internal sealed class RecordingFile : IImageFile
{
    private const int Sector = 512;

    private readonly Lock _gate = new();
    private readonly List<(ulong Offset, byte[] Data)> _pending = [];
    private byte[] _current;
    private byte[] _durable;
    private ulong _length;
    private ulong _durableLength;

    public RecordingFile(byte[]? content = null)
    {
        _current = content?.ToArray() ?? [];
        _durable = _current.ToArray();
        _length = _durableLength = (ulong)_current.Length;
    }

    public string Name => "test.img";

    public string Identity => "test";

    public ulong Length => _length;

    public int SectorSize => Sector;

    /// <summary>Called before every write, discard, sync and change of length; may throw.</summary>
    public Action<string> Before { get; set; } = _ => { };

    public byte[] Content => _current.AsSpan(0, (int)_length).ToArray();

    public void Read(ulong offset, Span<byte> into)
    {
        lock (_gate)
        {
            into.Clear();
            if (offset >= _length) return;
            var count = (int)Math.Min((ulong)into.Length, _length - offset);
            _current.AsSpan((int)offset, count).CopyTo(into);
        }
    }

    public void Read(ulong offset, ReadOnlySpan<IoVector> into)
    {
        foreach (var vector in into)
        {
            Read(offset, vector.Span);
            offset += (uint)vector.Length;
        }
    }

    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into)
    {
        Read(offset, into);
        return true;
    }

    public void Write(ulong offset, ReadOnlySpan<byte> from)
    {
        Before("write");
        Record(offset, from);
    }

    public void Write(ulong offset, ReadOnlySpan<IoVector> from)
    {
        var bytes = new byte[from.ToArray().Sum(vector => vector.Length)];
        var at = 0;
        foreach (var vector in from)
        {
            vector.Span.CopyTo(bytes.AsSpan(at));
            at += vector.Length;
        }
        Write(offset, bytes);
    }

    public void Sync()
    {
        Before("sync");
        lock (_gate)
        {
            _durable = _current.ToArray();
            _durableLength = _length;
            _pending.Clear();
        }
    }

    public void SetLength(ulong length)
    {
        Before("length");
        Grow(ref _current, length);
        if (length < _length) _current.AsSpan((int)length).Clear();
        _length = length;
    }

    public bool TryZero(ulong offset, ulong length, bool release)
    {
        Write(offset, new byte[length]);
        return true;
    }

    // Nobody may count on what is there afterwards.
    public void Discard(ulong offset, ulong length)
    {
        if (offset >= _length) return;
        var garbage = new byte[Math.Min(length, _length - offset)];
        garbage.AsSpan().Fill(0xdb);
        Before("discard");
        Record(offset, garbage);
    }

    public (bool IsHole, ulong End) Extent(ulong offset) => (offset >= _length, Math.Max(_length, offset));

    public void Dispose()
    {
    }

    /// <summary>What may be on the disk after a power loss now.</summary>
    public byte[] AfterPowerLoss(Random random)
    {
        var content = _durable.ToArray();
        var length = _durableLength;
        // Now and then nothing is lost, or everything; mostly some of it, sector by sector.
        var kept = random.Next(4) switch { 0 => 0, 1 => 100, _ => random.Next(101) };
        foreach (var (offset, data) in _pending)
        {
            for (var at = 0; at < data.Length;)
            {
                var piece = (int)Math.Min((ulong)(data.Length - at), Sector - (offset + (ulong)at) % Sector);
                if (random.Next(100) < kept) Put(ref content, ref length, offset + (ulong)at, data.AsSpan(at, piece));
                at += piece;
            }
        }
        return content.AsSpan(0, (int)length).ToArray();
    }

    private void Record(ulong offset, ReadOnlySpan<byte> from)
    {
        lock (_gate)
        {
            Put(ref _current, ref _length, offset, from);
            _pending.Add((offset, from.ToArray()));
        }
    }

    private static void Put(ref byte[] target, ref ulong length, ulong offset, ReadOnlySpan<byte> from)
    {
        var end = offset + (ulong)from.Length;
        if (end > 1ul << 30) throw new InvalidOperationException($"a write at {offset}: the test's files are small");
        Grow(ref target, end);
        from.CopyTo(target.AsSpan((int)offset));
        length = Math.Max(length, end);
    }

    private static void Grow(ref byte[] target, ulong end)
    {
        if ((ulong)target.Length < end) Array.Resize(ref target, (int)Math.Max(end, (ulong)target.Length * 3 / 2));
    }
}
