// The bus routes an access that is not RAM to the device whose window lies there. One instance serves port I/O (64 KiB of
// ports), another memory-mapped I/O. A window lies where its device or its guest puts it, also over others; then the one with the
// higher priority answers, and of equal ones the one that was made first, in the whole of the place that they share.
// Look-ups take no lock: the table of pieces, which do not overlap, is replaced as a whole. Devices lock for themselves; the bus is
// never locked while one is called.
using Lamina.Core.Inspection;
using Lamina.Core.Logging;

namespace Lamina.Core.Bus;

/// <summary>Windows and the devices that answer behind them.</summary>
/// <param name="name">What the addresses are ("port", "memory"): used in messages.</param>
/// <param name="last">The last address.</param>
/// <param name="log">Told of accesses that no device took as they were; or null. Any thread.</param>
public sealed class Bus(string name, ulong last = ulong.MaxValue, ILog? log = null) : IInspected
{
    private readonly Lock _gate = new();
    private readonly List<Window> _windows = [];
    private volatile Layout _layout = new([]);
    private int _made;

    private ulong Last => last;

    // Addresses from Start to End, the last one included, at which a window answers.
    private sealed record Piece(ulong Start, ulong End, Window Window, ulong WindowStart);

    // What lies where, sorted by address and never changed; and what was asked for last, which is asked for again most of the time.
    private sealed class Layout(Piece[] pieces)
    {
        private Piece? _last;

        internal Piece[] Pieces => pieces;

        internal Piece? Find(ulong address) => _last is { } last && address - last.Start <= last.End - last.Start ? last : Search(address);

        private Piece? Search(ulong address)
        {
            int low = 0, high = pieces.Length - 1;
            while (low <= high)
            {
                var middle = (low + high) >>> 1;
                var piece = pieces[middle];
                if (address < piece.Start) high = middle - 1;
                else if (address > piece.End) low = middle + 1;
                else return _last = piece;
            }
            return null;
        }
    }

    /// <summary>What answers where, sorted by address.</summary>
    public IEnumerable<(ulong Start, ulong Length, string Window)> Ranges => _layout.Pieces.Select(piece => (piece.Start, piece.End - piece.Start + 1, piece.Window.Name));

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = $"{name} bus";
        node.Each("window", [.. Ranges], static (window, range) =>
        {
            window.Say("device", range.Window);
            window.SayHex("start", range.Start);
            window.SayHex("length", range.Length);
        });
    }

    /// <summary>Makes a window, which is off at first.</summary>
    /// <param name="windowName">Its name, unique on the bus.</param>
    /// <param name="length">How many addresses it has.</param>
    /// <param name="device">What answers.</param>
    /// <param name="priority">Who answers where windows overlap: the highest.</param>
    /// <exception cref="ArgumentException">There is a window of that name.</exception>
    public IBusWindow CreateWindow(string windowName, ulong length, IBusDevice device, int priority = 0)
    {
        ArgumentOutOfRangeException.ThrowIfZero(length);
        return Make(windowName, length, device, priority, stays: false);
    }

    /// <summary>Puts a device that stays as long as the bus does to a place that nobody else has.</summary>
    /// <exception cref="ArgumentException">Some of it is taken, or beyond the last address.</exception>
    public void Map(ulong start, ulong length, IBusDevice device, string? windowName = null)
    {
        ArgumentOutOfRangeException.ThrowIfZero(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length - 1, last - Math.Min(start, last), nameof(length));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, last);
        lock (_gate)
        {
            if (_layout.Pieces.Any(piece => piece.Start <= start + (length - 1) && start <= piece.End)) throw new ArgumentException($"{name} range 0x{start:x}+0x{length:x} is taken");
            Make(windowName ?? $"{device.GetType().Name} at 0x{start:x}", length, device, priority: 0, stays: true).TryMove(start);
        }
    }

    /// <summary>Reads; where no device answers the data are all ones.</summary>
    public AccessResult Read(ulong address, Span<byte> data)
    {
        var result = AccessResult.Unclaimed;
        if (Find(address, data.Length) is { } piece && piece.Window.TryEnter())
        {
            try
            {
                result = piece.Window.Device.Read(address - piece.WindowStart, data);
            }
            finally
            {
                piece.Window.Leave();
            }
        }
        if (result == AccessResult.Ok) return result;
        data.Fill(0xff);
        log.Trace(LogEvent.Unanswered, $"{name} read of {data.Length} at 0x{address:x}: {Text(result)}");
        return result;
    }

    /// <summary>Writes; where no device answers nothing happens.</summary>
    public AccessResult Write(ulong address, ReadOnlySpan<byte> data)
    {
        var result = AccessResult.Unclaimed;
        if (Find(address, data.Length) is { } piece && piece.Window.TryEnter())
        {
            try
            {
                result = piece.Window.Device.Write(address - piece.WindowStart, data);
            }
            finally
            {
                piece.Window.Leave();
            }
        }
        if (result != AccessResult.Ok) log.Trace(LogEvent.Unanswered, $"{name} write of {data.Length} at 0x{address:x}: {Text(result)}");
        return result;
    }

    private Window Make(string windowName, ulong length, IBusDevice device, int priority, bool stays)
    {
        lock (_gate)
        {
            if (_windows.Exists(window => window.Name == windowName)) throw new ArgumentException($"the {name} bus has a window {windowName} already", nameof(windowName));
            var made = new Window(this, windowName, length, device, (priority, _made++), stays);
            _windows.Add(made);
            return made;
        }
    }

    private static string Text(AccessResult result) => result == AccessResult.InvalidSize ? "the register does not take this size" : "nothing answers";

    private Piece? Find(ulong address, int length) => _layout.Find(address) is { } piece && (ulong)length - 1 <= piece.End - address ? piece : null;

    // With the lock: lays the windows out anew, from the one that answers everywhere to the one that answers where no other does.
    private void Lay()
    {
        var pieces = new List<Piece>();
        foreach (var window in _windows.Where(window => window.Start is not null).OrderByDescending(window => window.Priority).ThenBy(window => window.Number))
        {
            var (start, end) = (window.Start!.Value, window.Start.Value + (window.Length - 1));
            var at = start;
            var over = pieces.Where(piece => piece.Start <= end && start <= piece.End).OrderBy(piece => piece.Start).ToArray();
            var covered = false;
            foreach (var other in over)
            {
                if (other.Start > at) pieces.Add(new Piece(at, other.Start - 1, window, start));
                covered = other.End >= end;
                if (covered) break;
                at = other.End + 1;
            }
            if (!covered) pieces.Add(new Piece(at, end, window, start));
        }
        pieces.Sort((a, b) => a.Start.CompareTo(b.Start));
        _layout = new Layout([.. pieces]);
    }

    private sealed class Window(Bus bus, string name, ulong length, IBusDevice device, (int Priority, int Number) order, bool stays) : IBusWindow
    {
        private int _under;
        private volatile bool _gone;

        public string Name => name;

        public ulong Length => length;

        public ulong? Start { get; private set; }

        public IBusDevice Device => device;

        public int Priority => order.Priority;

        public int Number => order.Number;

        public bool TryMove(ulong start)
        {
            lock (bus._gate)
            {
                var fits = start <= bus.Last && length - 1 <= bus.Last - start;
                Put(fits ? start : null);
                return fits;
            }
        }

        public void SwitchOff()
        {
            lock (bus._gate) Put(null);
        }

        /// <summary>An access begins; false where the window has gone since it was found. One that stays need not know.</summary>
        public bool TryEnter()
        {
            if (stays) return true;
            // Counted first, then looked: whoever takes the window away does it the other way round.
            Interlocked.Increment(ref _under);
            if (!_gone) return true;
            Leave();
            return false;
        }

        /// <summary>It has ended.</summary>
        public void Leave()
        {
            if (!stays) Interlocked.Decrement(ref _under);
        }

        // Not from within an access to it, which this waits for.
        public void Dispose()
        {
            lock (bus._gate)
            {
                Put(null);
                bus._windows.Remove(this);
                _gone = true;
            }
            Interlocked.MemoryBarrier();
            var wait = new SpinWait();
            while (Volatile.Read(ref _under) != 0) wait.SpinOnce();
        }

        private void Put(ulong? start)
        {
            if (Start == start) return;
            Start = start;
            bus.Lay();
        }
    }

}
