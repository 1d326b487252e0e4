// A machine's memory, and the first load into it. It is the first thing that is made of the hardware, so that the load is under way while the
// rest is opened and made, which a start would else wait for.
using Lamina.Boot;
using Lamina.Core.Memory;
using Lamina.Core.Units;
using Lamina.Saving;

namespace Lamina.Boards;

/// <summary>Guest RAM with what is loaded into it at the first start.</summary>
internal sealed class BoardMemory
{
    // Nobody asks it twice.
    private EarlyLoad? _load;

    private BoardMemory(GuestMemory ram, EarlyLoad? load) => (Ram, _load) = (ram, load);

    /// <summary>The guest's RAM.</summary>
    internal GuestMemory Ram { get; }

    /// <summary>Makes it, and begins to load.</summary>
    /// <param name="units">Takes the parts.</param>
    /// <param name="definition">The machine.</param>
    /// <param name="map">Where its RAM lies.</param>
    /// <param name="boot">What lies in it when the machine starts.</param>
    /// <param name="saved">Where the machine goes on; null for one that starts.</param>
    internal static BoardMemory Make(UnitTree units, MachineDefinition definition, MemoryMap map, BootPlan boot, SavedStart? saved)
    {
        // Of a machine that was saved, pages are read as they are touched, where that can be.
        var kept = saved?.OpenMemory(map.Ram);
        var backing = kept?.Backing;
        if (backing is not null) _ = units.AddAside("memory file", kept!);
        var ram = units.AddAside("memory", saved?.Memory ?? new GuestMemory(map.Ram, backing));
        if (!definition.HugePages || definition.SharesPages) ram.Advise(definition.HugePages, definition.SharesPages);
        if (kept is not null && backing is null)
        {
            using (kept) kept.CopyTo(ram);
        }
        return new BoardMemory(ram, saved is null ? units.AddAside("memory/early load", new EarlyLoad(boot, ram)) : null);
    }

    /// <summary>Waits for the first load, and helps; false where there is none, or was.</summary>
    /// <exception cref="MachineException">A file can no longer be read.</exception>
    internal bool FinishLoad()
    {
        if (Interlocked.Exchange(ref _load, null) is not { } load) return false;
        load.Finish();
        return true;
    }
}
