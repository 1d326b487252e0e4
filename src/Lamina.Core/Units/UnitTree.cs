// The parts of one machine by name, in the order in which they were made: each comes after those that it needs. What concerns all
// of them goes through here: who uses others is reset, paused and given up before those, and resumes after them.
// A name is a path ("chipset/rtc", "devices/disk0"). The machine's life alone calls this, one call at a time.
using Lamina.Core.Inspection;
using Lamina.Core.State;

namespace Lamina.Core.Units;

/// <summary>The state of one part, as it is written down.</summary>
/// <param name="Name">The part's name.</param>
/// <param name="Kind">What it is, and the version of its fields.</param>
/// <param name="Fields">Its fields, as <see cref="SavedFields"/> encodes them.</param>
public sealed record SavedUnit(string Name, SavedKind Kind, ReadOnlyMemory<byte> Fields);

/// <summary>The named parts of a machine.</summary>
public sealed class UnitTree : IDisposable
{
    private readonly List<(string Name, object Part)> _units = [];
    private readonly HashSet<string> _aside = [];

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

    /// <summary>
    /// Adds a part as <see cref="Add"/> does that no saved state has: it remembers nothing that the guest could notice, or what it
    /// remembers is the host's and is there again when the machine is made again, or is kept in a place of its own.
    /// </summary>
    public T AddAside<T>(string name, T part) where T : class
    {
        Add(name, part);
        _aside.Add(name);
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

    /// <summary>Writes down the state of every part that has one, in the order of dependencies. The machine is paused.</summary>
    /// <exception cref="StateException">A part cannot be saved; the message is a sentence that names it.</exception>
    public IReadOnlyList<SavedUnit> Save()
    {
        var saved = new List<SavedUnit>();
        foreach (var (name, part) in _units)
        {
            if (_aside.Contains(name)) continue;
            if (part is not ISavedUnit unit) throw new StateException($"{name} cannot be saved: there is no form for its state");
            saved.Add(new SavedUnit(name, unit.Kind, Of(name, "cannot be saved: it", () => SavedFields.Write(unit.Kind.Version, unit.Save))));
        }
        return saved;
    }

    /// <summary>Gives every part its state, in the order of dependencies. The tree is that of a fresh machine of the same definition, paused.</summary>
    /// <param name="saved">What <see cref="Save"/> gave, or an older version, or anything.</param>
    /// <exception cref="StateException">It is not this machine's, or damaged; the message is a sentence that names the part.</exception>
    public void Load(IReadOnlyList<SavedUnit> saved)
    {
        var states = new Dictionary<string, SavedUnit>();
        foreach (var state in saved)
            if (!states.TryAdd(state.Name, state)) throw new StateException($"the saved state has {state.Name} twice");
        foreach (var (name, part) in _units)
        {
            if (_aside.Contains(name)) continue;
            if (part is not ISavedUnit unit) throw new StateException($"{name} cannot be loaded: there is no form for its state");
            if (!states.Remove(name, out var state))
            {
                if (unit is ILaterUnit) continue;
                throw new StateException($"the saved state is of a machine without {name}");
            }
            Of(name, "cannot be loaded: it", () =>
            {
                unit.Kind.Check(state.Kind.Name, state.Kind.Version);
                SavedFields.Read(state.Fields, state.Kind.Version, unit.Load);
                return true;
            });
        }
        if (states.Count != 0) throw new StateException($"the saved state has {states.Keys.Order(StringComparer.Ordinal).First()}, and this machine has not");
    }

    /// <summary>Begins a look at every part, or at those below a name and those that it lies below.</summary>
    /// <param name="path">The name; empty for all.</param>
    public UnitInspection Inspect(string path = "") => new(_units, path.Trim('/'));

    /// <summary>What every part counts. Any thread, as long as no part comes or goes.</summary>
    public void Count(CounterList counters)
    {
        var asked = new HashSet<object>(ReferenceEqualityComparer.Instance);
        foreach (var (name, part) in _units)
            if (part is ICounted counted && asked.Add(part)) counters.Ask(name, counted);
    }

    /// <summary>Gives everything up, the last part first. A part that fails does not keep the others from it.</summary>
    public void Dispose() => Dispose([.. _units]);

    private IEnumerable<object> LastFirst() => _units.AsEnumerable().Reverse().Select(unit => unit.Part);

    private static T Of<T>(string name, string does, Func<T> what)
    {
        try
        {
            return what();
        }
        catch (StateException e)
        {
            throw new StateException($"{name} {does} {e.Message}", e);
        }
    }

    private void Dispose((string Name, object Part)[] units)
    {
        var failures = new List<Exception>();
        foreach (var unit in units.Reverse())
        {
            _units.Remove(unit);
            _aside.Remove(unit.Name);
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
