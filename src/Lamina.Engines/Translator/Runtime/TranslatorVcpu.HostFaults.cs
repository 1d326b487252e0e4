// What the host's processor faulted at in generated code: which guest instruction that was, and which of the guest's exceptions it is.
using Lamina.Core.Engine;
using Lamina.Core.Logging;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu
{
    private bool HandleHostFault()
    {
        lock (_store.Gate) RaiseHostFault();
        return DeliverFault();
    }

    private void RaiseHostFault()
    {
        var buffer = _store.Buffer;
        var offset = buffer.OffsetOfExecutable(_area->FaultAddress);
        var block = buffer.FindBlock(offset) ?? throw new InvalidOperationException(
            $"the stub '{_store.Stubs.NameAt(_area->FaultAddress)}' faulted at +{offset:x}: exception {_area->FaultSignal >> 8} (signal {(byte)_area->FaultSignal}) about {_area->FaultLinear:x}");
        var faulting = buffer.FindSite(block, offset + 1);
        if (faulting >= 0 && buffer.Sites[faulting] is { Kind: SiteKind.BadTarget } branch)
        {
            _cpu->Rip = RipOf(block, branch.GuestOffset);
            _cpu->ArithmeticFlags = Unpark(_area->ParkedFlags);
            RaiseBadTarget(branch);
            return;
        }
        var index = FindFaulting(block, offset);
        if (index < 0) throw new InvalidOperationException($"signal {_area->FaultSignal} outside any instruction at +{offset:x}");
        foreach (var (register, slot) in buffer.BorrowedBy(index))
            _cpu->Gpr[register] = slot == 0 ? _area->Temporary1 : _area->Temporary2;
        _cpu->Rip = RipOf(block, buffer.Instructions[index].Guest);
        _log.Trace(LogEvent.Fault, $"host fault {_area->FaultSignal >> 8:x} (signal {(byte)_area->FaultSignal}) at {_cpu->Cs.Selector:x}:{_cpu->Rip:x}");
        var access = AccessBefore(block, index, offset);
        var parked = faulting >= 0 && buffer.Sites[faulting].Kind == SiteKind.HostFault ? buffer.Sites[faulting].Parked : access?.Parked ?? buffer.Instructions[index].Parked;
        _cpu->ArithmeticFlags = Unpark(parked ? _area->ParkedFlags : _area->HostFlags);
        switch ((byte)(_area->FaultSignal >> 8))
        {
            case Vector.DivideError: _processor.RaisePlain(Vector.DivideError); break;
            case Vector.InvalidOpcode: _processor.RaiseInvalidOpcode(); break;
            case Vector.X87: _processor.RaisePlain(Vector.X87); break;
            case Vector.Simd: _processor.RaisePlain(Vector.Simd); break;
            case Vector.PageFault when !IsBeyondUserAddresses(_area->FaultLinear): RaiseWindowFault(); break;
            default: _processor.RaiseNonCanonical(SegmentOfCurrent(access?.Kind == SiteKind.Write)); break;
        }
    }

    /// <summary>
    /// Whether a host address lies where no program has memory unless it asks for it. A guest's access in place comes there by an address that
    /// is not canonical for it and so far from its page in the host; with five-level paging most of such addresses are canonical for the
    /// host, which reports a page fault then. Linux, Documentation/arch/x86/x86_64/5level-paging.rst.
    /// </summary>
    internal static bool IsBeyondUserAddresses(ulong address) => address >> 47 != 0;

    // The copies of stores stand behind the block's straight part; all else there cannot fault.
    private int FindFaulting(Block block, int offset)
    {
        var buffer = _store.Buffer;
        var guest = -1;
        for (var i = block.FirstSite; i < block.FirstSite + block.SiteCount; i++)
        {
            var site = buffer.Sites[i];
            if (site.Kind == SiteKind.Write && site.Copy != 0 && site.Copy <= offset) guest = site.GuestOffset;
        }
        if (guest < 0) return buffer.FindInstruction(block, offset);
        for (var i = block.FirstInstruction; i < block.FirstInstruction + block.StartCount; i++)
            if (buffer.Instructions[i].Guest == guest) return i;
        return -1;
    }

    /// <summary>The access that was under way at an address in an instruction's code, or null.</summary>
    private Site? AccessBefore(Block block, int instruction, int offset)
    {
        var guest = _store.Buffer.Instructions[instruction].Guest;
        Site? found = null;
        for (var i = block.FirstSite; i < block.FirstSite + block.SiteCount; i++)
        {
            var site = _store.Buffer.Sites[i];
            if (site.GuestOffset == guest && site.Kind is SiteKind.Read or SiteKind.Write && offset >= site.Resume) found = site;
        }
        return found;
    }
}
