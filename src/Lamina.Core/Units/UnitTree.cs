// The parts of one machine by name, in the order in which they were made: each comes after those that it needs. What concerns all
// of them goes through here: who uses others is reset, paused and given up before those, and resumes after them.
// A name is a path ("chipset/rtc", "devices/disk0"). The machine's life alone calls this, one call at a time.
namespace Lamina.Core.Units;

/// <summary>The named parts of a machine.</summary>
public sealed class UnitTree : IDisposable
{
    private readonly List<(string Name, object Part)> _units = [];

    /// <summary>The names, in the order of dependencies.</summary>
    public IEnumerable<string> Names => _units.Select(unit => unit.Name);

    /// <summary>Adds a part, which is the tree's to give up from now on, and returns it.</summary>
    /// <param name="name">Its name, unique in the machine.</param>
    /// <param name="part">Any part; what it can be asked is seen by its interfaces.</param>
    /// <exception cref="ArgumentException">There is a part of that name.</exception>
    public T Add<T>(string name, T part) where T : class
    {
        if (_units.Exists(unit => unit.Name == name)) throw new ArgumentException($"the machine has a part {name} already", nameof(name));
        _units.Add((name, part));
        return part;
    }

    /// <summary>The parts of a kind below a name, in the order of dependencies.</summary>
    public IEnumerable<(string Name, T Part)> Below<T>(string name) where T : class =>
        from unit in _units
        where unit.Part is T && (unit.Name == name || unit.Name.StartsWith(name + "/", StringComparison.Ordinal))
        select (unit.Name, (T)unit.Part);

    /// <summary>Gives one part up and forgets it, and all that lie below its name.</summary>
    public void Remove(string name) => Dispose(Below<object>(name).ToArray());

    /// <summary>Puts every part to where it was after power-on; who uses others comes before those.</summary>
    public void Reset()
    {
        foreach (var part in LastFirst().OfType<IResettable>()) part.Reset();
    }

    /// <summary>Brings every part to rest; who uses others comes before those.</summary>
    public void Pause()
    {
        foreach (var part in LastFirst().OfType<IPausable>()) part.Pause();
    }

    /// <summary>Lets every part go on; who uses others comes after those.</summary>
    public void Resume()
    {
        foreach (var (_, part) in _units)
            if (part is IPausable pausable) pausable.Resume();
    }

    /// <summary>Gives everything up, the last part first. A part that fails does not keep the others from it.</summary>
    public void Dispose() => Dispose([.. _units]);

    private IEnumerable<object> LastFirst() => _units.AsEnumerable().Reverse().Select(unit => unit.Part);

    private void Dispose((string Name, object Part)[] units)
    {
        var failures = new List<Exception>();
        foreach (var unit in units.Reverse())
        {
            _units.Remove(unit);
            try
            {
                (unit.Part as IDisposable)?.Dispose();
            }
            catch (Exception e)
            {
                failures.Add(e);
            }
        }
        if (failures.Count != 0) throw new AggregateException(failures);
    }
}
