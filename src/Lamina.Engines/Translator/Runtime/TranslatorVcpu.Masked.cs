// Vector accesses under a mask (EVEX opmask, VMASKMOV) touch only the elements whose mask bit is set, and fault only for
// those (SDM vol. 1, 15.6.4): some instructions, by rules of their own. Which, the host's CPU knows best. So where the
// guest's access as a whole faults, the instruction runs on a window of host memory in which the same bytes are missing:
// if the host faults, the guest does; else what was stored is taken over.
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Paging;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu
{
    // Pages of the window: none, two that are there, two that are not.
    private const int WindowPages = 5, WindowBefore = 0, WindowFirst = 1, WindowSecond = 2, WindowBehind = 3, PageBytes = 4096;

    private readonly HostReservation _window = CreateWindow();
    private readonly byte[] _before = new byte[64];
    private byte* _masked;
    private int _maskedFrom, _maskedTo;
    private Fault _operandFault;
    private ulong _windowDistance;
    private AccessKind _windowKind;

    private static HostReservation CreateWindow()
    {
        var window = HostReservation.Reserve(WindowPages * PageBytes);
        window.MapAnonymous(WindowFirst * PageBytes, 2 * PageBytes);
        return window;
    }

    /// <summary>After a fault of the whole access: lets the host try the instruction on the window.</summary>
    private bool TryMaskedWindow(in Site site, ulong linear, AccessKind kind)
    {
        var fault = _processor.Fault;
        if (!TryDecodeCurrent(out var instruction) || (instruction.Traits & InstructionTraits.MaskedMemory) == 0)
        {
            _processor.RestoreFault(fault);
            return false;
        }
        _operandFault = fault;
        var offset = (int)(linear & (PageBytes - 1));
        var first = Math.Min((int)site.Size, PageBytes - offset);
        var firstIsThere = IsThere(linear, first, kind);
        var secondIsThere = first < site.Size && IsThere(Linear(linear + (ulong)first), site.Size - first, kind);
        var page = (firstIsThere, secondIsThere) switch
        {
            (true, true) => WindowFirst,
            (true, false) => WindowSecond,
            (false, true) => WindowBefore,
            _ => WindowBehind,
        };
        var from = firstIsThere ? 0 : first;
        var to = secondIsThere ? site.Size : first;
        // Another CPU took the page away since it was there.
        if (kind == AccessKind.Write && to > from && !_processor.TryPlaceStore(Linear(linear + (ulong)from), to - from, out _storePlace)) return TryMaskedWindow(site, linear, kind);
        PrepareMasked(linear, (byte*)_window.Address + page * PageBytes + offset, from, to);
        _windowDistance = (ulong)_masked - linear;
        _windowKind = kind;
        _area->Scratch1 = _windowDistance;
        if (kind == AccessKind.Read) _masked = null;
        return true;
    }

    /// <summary>The host missed a page in the window: the guest misses the one that stands for it.</summary>
    private void RaiseWindowFault()
    {
        var linear = Linear(_area->FaultLinear - _windowDistance);
        if (!IsThere(linear, 1, _windowKind)) return;
        _processor.RestoreFault(_operandFault);
    }

    // Outside 64-bit mode linear addresses go on at zero behind 4 GiB.
    private ulong Linear(ulong address) => _processor.Is64Bit ? address : (uint)address;

    private bool IsThere(ulong linear, int size, AccessKind kind) =>
        IsAddress(linear, size, kind) && _processor.TryProbe(linear, size, kind);

    private bool IsAddress(ulong linear, int size, AccessKind kind)
    {
        if (!_processor.Is64Bit || (Canonical(linear) && Canonical(linear + (ulong)size - 1))) return true;
        _processor.RaiseNonCanonical(SegmentOfCurrent(kind == AccessKind.Write));
        return false;
    }

    /// <summary>
    /// Where a store that is bounced may store less than all, the bounce holds what is in memory now. The instruction is looked at once: stores
    /// to devices come by here each time.
    /// </summary>
    private void PreparePartialStore(ref RecentSite left, ulong linear)
    {
        if (!left.IsDecoded)
        {
            if (!TryDecodeCurrent(out var instruction)) return;
            (left.IsDecoded, left.MayStoreLess) = (true, instruction.MayStoreLess);
        }
        if (left.MayStoreLess) PrepareMasked(linear, BounceFor(linear), 0, left.Site.Size);
    }

    private void PrepareMasked(ulong linear, byte* at, int from, int to)
    {
        _masked = at;
        (_maskedFrom, _maskedTo, _storeLinear) = (from, to, linear);
        if (to <= from) return;
        var bytes = new Span<byte>(at + from, to - from);
        _ = _processor.TryReadLinear(Linear(linear + (ulong)from), bytes);
        bytes.CopyTo(_before.AsSpan(from));
    }

    // Only bytes that changed are stored: the others may be another CPU's by now.
    private void CommitMasked()
    {
        for (var i = _maskedFrom; i < _maskedTo; i++)
        {
            var start = i;
            while (i < _maskedTo && _masked[i] != _before[i]) i++;
            if (i > start) _processor.StoreAt(_storePlace, start - _maskedFrom, new ReadOnlySpan<byte>(_masked + start, i - start));
        }
        _masked = null;
    }
}
