// Somebody who types at a guest's keyboard for a program: a stroke down, a stroke up, each when the guest has read what came before and
// a moment has passed by the machine's clock. So a text arrives whole at a guest that is slow, and nothing is typed while the machine stands
// still. A guest that reads nothing for a while is not typed to any more. What is yet to be typed is part of a saved machine.
using Lamina.Core.Input;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;

namespace Lamina.Devices.Chipset.Ps2;

/// <summary>Types at a keyboard.</summary>
public sealed class Typist : IResettable, ISavedUnit, IInspected, IDisposable
{
    /// <summary>The most strokes of one order, and of what waits altogether.</summary>
    public const int MostStrokes = 1024, MostWaiting = 4096;

    // How often a keyboard is looked at that is not ready, and for how long one may not be.
    private const long LookAgain = 2_000_000, Patience = 10_000_000_000, LongestPace = 60_000_000_000;

    private readonly Lock _gate = new();
    private readonly IMachineClock _clock;
    private readonly IKeyboardInput _keyboard;
    private readonly IDeviceTimer _timer;
    private readonly Queue<Order> _orders = [];
    private bool _isDown;
    private long _next, _waitsSince;

    /// <summary>Creates one with nothing to do.</summary>
    public Typist(IMachineClock clock, IKeyboardInput keyboard)
    {
        (_clock, _keyboard) = (clock, keyboard);
        _timer = clock.CreateTimer(Type);
    }

    /// <summary>Types strokes after those that wait already.</summary>
    /// <param name="strokes">They, up to <see cref="MostStrokes"/>.</param>
    /// <param name="pace">The time between a stroke's down and its up, and up to the next one.</param>
    /// <returns>Whether all was typed and read; false where the guest reads no keys, or was reset meanwhile. Null: too much waits already.</returns>
    public Task<bool>? TypeAsync(IReadOnlyList<KeyStroke> strokes, TimeSpan pace)
    {
        ArgumentNullException.ThrowIfNull(strokes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(strokes.Count, MostStrokes);
        var order = new Order { Strokes = strokes, Pace = Math.Clamp((long)pace.TotalMilliseconds * 1_000_000, 0, LongestPace) };
        lock (_gate)
        {
            if (_orders.Sum(each => each.Strokes.Count - each.Done) + strokes.Count > MostWaiting) return null;
            _orders.Enqueue(order);
            if (_orders.Count == 1) Begin();
        }
        return order.End.Task;
    }

    /// <summary>What waits is forgotten: it was for the guest as it was.</summary>
    public void Reset()
    {
        lock (_gate) GiveUp();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer.Dispose();
        Reset();
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () => node.Say("strokes waiting", (long)_orders.Sum(order => order.Strokes.Count - order.Done)));

    /// <inheritdoc/>
    public SavedKind Kind => new("typist", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate)
        {
            IReadOnlyList<SavedStroke> strokes = [.. from order in _orders from stroke in order.Strokes.Skip(order.Done) select new SavedStroke { Pace = order.Pace, Keys = [.. stroke.Keys.Select(key => (ushort)(key.Code | (key.Extended ? 0x100 : 0)))] }];
            Exchange(fields, ref strokes);
        }
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            IReadOnlyList<SavedStroke> strokes = [];
            Exchange(fields, ref strokes);
            _orders.Clear();
            foreach (var stroke in strokes)
                _orders.Enqueue(new Order { Strokes = [new KeyStroke([.. stroke.Keys.Select(key => new KeyCode((byte)(key & KeyCode.Last), key >= 0x100))])], Pace = stroke.Pace });
            if (_orders.Count > 0) _timer.Arm(_next);
        }
    }

    private void Exchange(SavedFields fields, ref IReadOnlyList<SavedStroke> strokes)
    {
        fields.Value(1, ref _isDown);
        fields.Value(2, ref _next);
        fields.Value(3, ref _waitsSince);
        var count = strokes.Count;
        fields.Value(4, ref count);
        fields.List(5, ref strokes, MostWaiting, SavedStroke.Exchange);
        SavedFields.Require(strokes.Count == count, "strokes are missing");
        SavedFields.Require(strokes.Count > 0 || !_isDown, "a stroke is down that is none");
        SavedFields.Require(_next <= _clock.NowNanoseconds + LongestPace && _waitsSince <= _clock.NowNanoseconds, "it goes on later than it can");
    }

    private void Begin()
    {
        _waitsSince = _clock.NowNanoseconds;
        Arm(_waitsSince);
    }

    private void Arm(long time)
    {
        _next = time;
        _timer.Arm(time);
    }

    private void Type()
    {
        lock (_gate)
        {
            if (!_orders.TryPeek(out var order)) return;
            var now = _clock.NowNanoseconds;
            if (!_keyboard.IsReady)
            {
                if (now - _waitsSince > Patience) GiveUp();
                else Arm(now + LookAgain);
                return;
            }
            _waitsSince = now;
            if (order.Done == order.Strokes.Count)
            {
                // The guest has read its last key.
                _orders.Dequeue();
                order.End.TrySetResult(true);
                Arm(now);
                return;
            }
            var keys = order.Strokes[order.Done].Keys;
            if (!_isDown) foreach (var key in keys) _keyboard.Press(key);
            else
            {
                foreach (var key in keys.Reverse()) _keyboard.Release(key);
                order.Done++;
            }
            _isDown = !_isDown;
            Arm(now + order.Pace);
        }
    }

    private void GiveUp()
    {
        _timer.Cancel();
        if (_isDown && _orders.TryPeek(out var current))
            foreach (var key in current.Strokes[current.Done].Keys.Reverse()) _keyboard.Release(key);
        _isDown = false;
        while (_orders.TryDequeue(out var order)) order.End.TrySetResult(false);
    }

    private sealed class Order
    {
        internal required IReadOnlyList<KeyStroke> Strokes { get; init; }

        internal required long Pace { get; init; }

        internal int Done { get; set; }

        // Whoever waits goes on elsewhere than under the typist's lock.
        internal TaskCompletionSource<bool> End { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed record SavedStroke
    {
        internal long Pace;
        internal ushort[] Keys = [];

        internal static void Exchange(SavedFields fields, ref SavedStroke stroke)
        {
            fields.Value(1, ref stroke.Pace);
            var bytes = stroke.Keys.SelectMany(BitConverter.GetBytes).ToArray();
            fields.Bytes(2, ref bytes, 2 * KeyStroke.MostKeys);
            SavedFields.Require(bytes.Length is > 0 && bytes.Length % 2 == 0, "a stroke has no keys, or half a key");
            stroke.Keys = [.. bytes.Chunk(2).Select(pair => BitConverter.ToUInt16(pair))];
            SavedFields.Require(stroke.Pace is >= 0 and <= LongestPace, "a stroke takes longer than it can");
        }
    }
}
