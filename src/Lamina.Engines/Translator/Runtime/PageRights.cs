// What generated code may do with the pages of guest memory in place, as the memory's map and its write log want it: told of a
// change, it stops the vCPUs, takes their rights and the translations away, and lets them go on. While somebody reads the log, a page
// is closed to stores in place until the first one comes; from then on it counts as written until the log is told of it, which closes
// it again. Rights that code in a page costs are TranslationStore's.
using System.Collections.Immutable;
using Lamina.Core.Memory;

namespace Lamina.Engines.Translator.Runtime;

internal sealed class PageRights(TranslationStore store, WriteLog log) : IMemoryMapListener, IWriteTracker
{
    private const ulong PageSize = 4096;

    // To look for each of so many pages takes longer than to find what is wanted of all of them anew.
    private const int MostClosedOneByOne = 1024;

    // Pages that were closed for the log and are open.
    private readonly List<ulong> _open = [];
    private ImmutableArray<MemoryRange> _tracked = [];

    /// <summary>Whether generated code may store to a page of memory in place: opens it where the log alone keeps it closed.</summary>
    public bool TryOpen(ulong physical)
    {
        if (!store.Pages.IsWatched(physical)) return true;
        lock (store.Gate)
        {
            if (!store.Pages.TryOpen(physical)) return false;
            _open.Add(physical & ~(PageSize - 1));
            return true;
        }
    }

    /// <summary>
    /// The same where a page has code, after a store to it had to be seen: gives the code up where many stores follow one another, which
    /// may not be that of the block that makes the store.
    /// </summary>
    public bool TryTakeFromCode(ulong physical)
    {
        lock (store.Gate)
        {
            if (!store.Pages.IsRewritten(physical)) return false;
            store.Invalidate(physical & ~(PageSize - 1), PageSize);
        }
        return TryOpen(physical);
    }

    /// <inheritdoc/>
    public void Remapped(MemoryRange range, MemoryKind? before, MemoryKind? after)
    {
        lock (store.Gate)
        {
            store.World.WhileStopped(() =>
            {
                store.Pages.SetKind(range, after);
                foreach (var tracked in _tracked) store.Pages.Close(tracked, range);
                // Code in a page that can still be read stays what it is.
                if (IsMemory(before) && !IsMemory(after)) store.Invalidate(range.Start, range.Length);
                // Of what was no memory nobody knows an address.
                if (IsMemory(before) && after != MemoryKind.Ram) ForgetPages();
            });
        }
    }

    /// <inheritdoc/>
    public void Track(ImmutableArray<MemoryRange> ranges)
    {
        lock (store.Gate)
        {
            store.World.WhileStopped(() =>
            {
                CloseOpened();
                foreach (var range in _tracked) store.Pages.OpenAll(range);
                _tracked = ranges;
                foreach (var range in ranges) store.Pages.Close(range, range);
                if (!ranges.IsEmpty) ForgetPages();
            });
        }
    }

    /// <inheritdoc/>
    public void Collect()
    {
        lock (store.Gate)
        {
            if (_open.Count > 0) store.World.WhileStopped(CloseOpened);
        }
    }

    private void CloseOpened()
    {
        foreach (var page in _open) store.Pages.Close(page);
        if (_open.Count > MostClosedOneByOne) ForgetPages();
        else
        {
            foreach (var page in _open)
                foreach (var vcpu in store.World.Vcpus) vcpu.ProtectPage(page);
        }
        foreach (var page in _open) log.Mark(page, PageSize);
        _open.Clear();
    }

    private void ForgetPages()
    {
        foreach (var vcpu in store.World.Vcpus) vcpu.ForgetPages();
    }

    private static bool IsMemory(MemoryKind? kind) => kind is MemoryKind.Ram or MemoryKind.Rom;
}
