// Machine code of a signal handler that runs in whatever state a thread is, where no code of the runtime's may.
namespace Lamina.Host.Locks;

/// <summary>Puts such code into memory.</summary>
internal static class HandlerCode
{
    /// <summary>Maps code for good: a signal may come to a thread as long as the process is there. It is never writable and executable at once.</summary>
    /// <param name="name">What the host's list of mappings calls it.</param>
    /// <param name="code">The code, of a page at most.</param>
    /// <returns>Where it is.</returns>
    internal static nint Map(string name, byte[] code)
    {
        var page = HostReservation.Reserve(HostReservation.PageSize);
        using var memory = SharedMemory.Create(name, HostReservation.PageSize);
        page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadWrite);
        code.CopyTo(page.Slice(0, code.Length));
        page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadExecute);
        return page.Address;
    }
}
