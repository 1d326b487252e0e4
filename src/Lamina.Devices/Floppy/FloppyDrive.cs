// A floppy drive with a disk in it.
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Core.State;
using Lamina.Core.Units;

namespace Lamina.Devices.Floppy;

/// <summary>A drive.</summary>
public sealed class FloppyDrive : IResettable, ISavedUnit, IInspected, ICounted
{
    // A guest can cause errors without end.
    private const int MostReports = 5;

    private readonly IBlockBackend _disk;
    private readonly ILog? _log;
    private readonly BlockBuffer _piece = new();
    private bool _changed = true;
    private long _requests, _failures;
    private int _reports;

    /// <summary>Makes a drive of a disk, which stays its creator's to dispose.</summary>
    /// <exception cref="ArgumentException">No floppy disk is so long.</exception>
    public FloppyDrive(IBlockBackend disk, ILog? log = null)
    {
        ArgumentNullException.ThrowIfNull(disk);
        (_disk, _log) = (disk, log);
        Shape = FloppyShape.Of(disk.Length) ?? throw new ArgumentException($"no floppy disk has {disk.Length} bytes", nameof(disk));
    }

    /// <inheritdoc/>
    public SavedKind Kind => new("floppy drive", 1);

    /// <summary>What is in it.</summary>
    public FloppyShape Shape { get; }

    internal bool IsReadOnly => _disk.IsReadOnly;

    /// <summary>Whether the disk may be another one than at the last seek.</summary>
    internal bool Changed
    {
        get => Volatile.Read(ref _changed);
        set => Volatile.Write(ref _changed, value);
    }

    /// <summary>Reads or writes a sector.</summary>
    /// <returns>False where the host failed.</returns>
    internal bool TryMove(ulong sector, BlockMemory buffer, bool writes)
    {
        Interlocked.Increment(ref _requests);
        _piece.Clear();
        _piece.Add(buffer, 0, FloppySpec.SectorSize);
        try
        {
            if (writes) _disk.Write(sector * FloppySpec.SectorSize, _piece);
            else _disk.Read(sector * FloppySpec.SectorSize, _piece);
            return true;
        }
        catch (IOException failure)
        {
            Interlocked.Increment(ref _failures);
            if (Interlocked.Increment(ref _reports) <= MostReports) _log.Error(LogEvent.DiskError, $"the guest got an I/O error: {failure.Message}");
            return false;
        }
    }

    /// <inheritdoc/>
    public void Reset() => Changed = true;

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Say("bytes", _disk.Length);
        node.Say("read only", _disk.IsReadOnly);
        node.Say("sectors of a track", (long)Shape.Sectors);
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        counters.Total("disk_requests", Interlocked.Read(ref _requests), "requests since the guest's start");
        counters.Total("disk_failed_requests", Interlocked.Read(ref _failures), "requests that ended with an error");
    }

    private void Exchange(SavedFields fields)
    {
        var length = _disk.Length;
        fields.Value(1, ref length);
        if (length != _disk.Length) throw new StateException($"was saved with a floppy disk of {length} bytes, and this one has {_disk.Length}; give it the disk that it had");
        fields.Value(2, ref _changed);
        fields.Value(3, ref _requests);
        fields.Value(4, ref _failures);
    }
}
