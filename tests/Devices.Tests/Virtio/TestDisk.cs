// A disk in memory that remembers what was asked of it, and fails when it is told to.
using Lamina.Core.Block;
using Lamina.Host.Io;

namespace Lamina.Tests.Devices.Virtio;

internal sealed class TestDisk(int sectors, bool readOnly = false) : IBlockBackend
{
    private int _inProgress;

    public byte[] Content { get; } = new byte[sectors * 512];

    public List<string> Calls { get; } = [];

    public Exception? Failure { get; set; }

    /// <summary>Called as each request begins.</summary>
    public Action? Beginning { get; set; }

    public ulong Length => (ulong)Content.Length;

    public BlockLimits Limits { get; init; } = new(512, 4096, 65536, 65536);

    public bool IsReadOnly => readOnly;

    /// <summary>Waited for by every read, where it is set.</summary>
    public ManualResetEventSlim? Gate { get; set; }

    /// <summary>How many reads have begun and not ended.</summary>
    public int InProgress => Volatile.Read(ref _inProgress);

    public void Read(ulong offset, ReadOnlySpan<IoVector> into)
    {
        Interlocked.Increment(ref _inProgress);
        Gate?.Wait();
        Note("read", offset, Sum(into));
        foreach (var vector in into)
        {
            Content.AsSpan((int)offset, vector.Length).CopyTo(vector.Span);
            offset += (uint)vector.Length;
        }
        Interlocked.Decrement(ref _inProgress);
    }

    /// <summary>Whether reads need no wait.</summary>
    public bool IsCached { get; set; }

    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into)
    {
        if (IsCached) Read(offset, into);
        return IsCached;
    }

    public void Write(ulong offset, ReadOnlySpan<IoVector> from)
    {
        Note("write", offset, Sum(from));
        foreach (var vector in from)
        {
            vector.Span.CopyTo(Content.AsSpan((int)offset));
            offset += (uint)vector.Length;
        }
    }

    public void Flush() => Note("flush", 0, 0);

    public void Discard(ulong offset, ulong length) => Note("discard", offset, length);

    public void WriteZeroes(ulong offset, ulong length, bool mayUnmap) => Note(mayUnmap ? "unmap" : "zero", offset, length);

    /// <summary>The ring that the device gets; or null.</summary>
    public TestRing? Ring { get; init; }

    public IBlockRing? OpenRing() => Ring;

    public BlockExtent Extent(ulong offset) => new(false, Length - offset);

    public void Dispose()
    {
    }

    private void Note(string what, ulong offset, ulong length)
    {
        Beginning?.Invoke();
        lock (Calls) Calls.Add(length == 0 ? what : $"{what} {offset / 512}+{length / 512}");
        if (Failure is not null) throw Failure;
    }

    private static ulong Sum(ReadOnlySpan<IoVector> vectors)
    {
        ulong sum = 0;
        foreach (var vector in vectors) sum += (uint)vector.Length;
        return sum;
    }
}
