// What a vCPU's thread has for its GS base by the kernel's book where that is not told of WRGSBASE: Linux without FSGSBASE on a processor
// that executes it all the same, as a guest of a hypervisor has it which runs guests in user mode. A switch between threads sets the base
// back to this. The vCPU's shared state is here as in every region, so that code which asks for that does not notice; whatever else lies
// around GS cannot be touched here, and the handler of that fault brings the right base back (see GeneratedCodeFaults).
using Lamina.Engines.Translator.Code;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed class LostRegion : IDisposable
{
    private readonly HostReservation _range = HostReservation.Reserve(2 * AddressRegion.TableBytes + Slot.Middle);

    public LostRegion(SharedMemory shared)
    {
        try
        {
            _range.MapShared(AddressRegion.TableBytes, Slot.SharedSize, shared, 0, MappingAccess.ReadWrite);
        }
        catch
        {
            _range.Dispose();
            throw;
        }
    }

    /// <summary>The value for the GS base.</summary>
    public ulong Gs => (ulong)_range.Address + AddressRegion.TableBytes + Slot.Middle;

    public void Dispose() => _range.Dispose();
}
