// The parts of a machine in the order in which they were made, each after those it needs; stopping goes in reverse.
namespace Lamina.Life;

/// <summary>Gives parts back in reverse order.</summary>
internal sealed class UnitStack : IDisposable
{
    private readonly Stack<IDisposable> _units = [];

    /// <summary>Adds a part and returns it.</summary>
    internal T Push<T>(T unit) where T : IDisposable
    {
        _units.Push(unit);
        return unit;
    }

    /// <summary>Stops everything, the last part first. A part that fails does not keep the others from it.</summary>
    public void Dispose()
    {
        var failures = new List<Exception>();
        while (_units.TryPop(out var unit))
        {
            try
            {
                unit.Dispose();
            }
            catch (Exception e)
            {
                failures.Add(e);
            }
        }
        if (failures.Count != 0) throw new AggregateException(failures);
    }
}
