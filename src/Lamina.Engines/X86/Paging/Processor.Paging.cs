// Page walks: from linear to guest-physical addresses with every permission check, and accessed and dirty bits.
// No result is cached here: the translator's tables do that. SDM vol. 3, chapter 4; APM vol. 2, chapter 5.
using System.Threading;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    // Entry bits. SDM vol. 3, tables 4-4 to 4-20.
    private const ulong EntryPresent = 1, EntryWritable = 2, EntryUser = 4, EntryAccessed = 0x20, EntryDirty = 0x40;
    private const ulong EntryLarge = 0x80, EntryGlobal = 0x100, EntryNoExecute = 1UL << 63;
    private const ulong EntryAddress = 0x000f_ffff_ffff_f000;

    /// <summary>A walk restarts when another CPU changes an entry between its read and the update of its accessed bit; so often at most.</summary>
    private const int MaximumRestarts = 64;

    private struct Walk
    {
        public ulong Linear;
        public AccessKind Kind;
        public bool UserMode;
        public bool ImplicitMode;
        public ulong Permissions;
        public bool NoExecute;
        public fixed ulong EntryAt[4];
        public fixed ulong EntryValue[4];
        public int Levels;
        public bool Wide;
    }

    private enum WalkResult
    {
        Ok,
        Fault,
        Changed,
    }

    /// <summary>Translates for the translator's tables: explicit accesses with the current CR0, CR4, EFER and AC.</summary>
    /// <param name="linear">The address, canonical in 64-bit mode.</param>
    /// <param name="kind">The access.</param>
    /// <param name="user">At CPL 3.</param>
    /// <param name="translation">What was found.</param>
    /// <returns>False: <see cref="Fault"/> is the #PF.</returns>
    public bool TryTranslate(ulong linear, AccessKind kind, bool user, out Translation translation) =>
        TryTranslate(linear, kind, user ? AccessMode.User : AccessMode.Supervisor, out translation);

    private bool TryTranslate(ulong linear, AccessKind kind, AccessMode mode, out Translation translation)
    {
        translation = default;
        if ((Context->Cr0 & Cr0.PG) == 0)
        {
            var all = new Translation { PhysicalPage = linear & 0xffff_f000, PageSize = 1UL << 32, Readable = true, Writable = true, Executable = true, User = true, Dirty = true };
            translation = all;
            return true;
        }
        if (mode == AccessMode.Current) mode = Context->Cpl == 3 ? AccessMode.User : AccessMode.Supervisor;
        Walk walk = default;
        walk.Linear = linear;
        walk.Kind = kind;
        walk.UserMode = mode == AccessMode.User;
        walk.ImplicitMode = mode == AccessMode.Implicit;
        for (var attempt = 0; ; attempt++)
        {
            var result = (Context->Cr4 & Cr4.PAE) == 0 ? Walk32(ref walk, ref translation)
                : IsLongMode ? Walk64(ref walk, ref translation)
                : WalkPae(ref walk, ref translation);
            if (result == WalkResult.Ok) result = MarkUsed(ref walk, ref translation, force: attempt == MaximumRestarts);
            if (result != WalkResult.Changed) return result == WalkResult.Ok;
        }
    }

    /// <summary>Translates the address of a fetch where all accessed bits are set, with no trace of it: no bit, no fault recorded.</summary>
    /// <param name="linear">The address, canonical in 64-bit mode.</param>
    /// <param name="user">At CPL 3.</param>
    /// <param name="translation">What was found.</param>
    /// <returns>False: it cannot be fetched from, or bits would have to be set.</returns>
    public bool TryTranslateUnseen(ulong linear, bool user, out Translation translation)
    {
        translation = default;
        if ((Context->Cr0 & Cr0.PG) == 0) return false;
        var saved = Fault;
        Walk walk = default;
        walk.Linear = linear;
        walk.Kind = AccessKind.Execute;
        walk.UserMode = user;
        var result = (Context->Cr4 & Cr4.PAE) == 0 ? Walk32(ref walk, ref translation)
            : IsLongMode ? Walk64(ref walk, ref translation)
            : WalkPae(ref walk, ref translation);
        Fault = saved;
        var used = result == WalkResult.Ok;
        for (var level = 0; level < walk.Levels; level++) used &= (walk.EntryValue[level] & EntryAccessed) != 0;
        return used;
    }

    /// <summary>Translates as a debugger does: no rights, no accessed bits, no fault recorded.</summary>
    public bool TryTranslateForDebugger(ulong linear, out ulong physical)
    {
        var saved = Fault;
        physical = linear & 0xffff_ffff;
        if ((Context->Cr0 & Cr0.PG) == 0) return true;
        if (IsLongMode ? !IsCanonical(linear) : linear > uint.MaxValue) return false;
        Walk walk = default;
        walk.Linear = linear;
        walk.Kind = AccessKind.Read;
        Translation translation = default;
        var result = (Context->Cr4 & Cr4.PAE) == 0 ? Walk32(ref walk, ref translation, checkRights: false)
            : IsLongMode ? Walk64(ref walk, ref translation, checkRights: false)
            : WalkPae(ref walk, ref translation, checkRights: false);
        Fault = saved;
        physical = translation.PhysicalPage | (linear & 0xfff);
        return result == WalkResult.Ok;
    }

    private WalkResult Walk32(ref Walk walk, ref Translation translation, bool checkRights = true)
    {
        var linear = walk.Linear & 0xffff_ffff;
        Begin(ref walk, wide: false);
        var tableAt = (Context->Cr3 & 0xffff_f000) | (linear >> 22 << 2);
        ulong entry = ReadPhysical<uint>(tableAt);
        if ((entry & EntryPresent) == 0) return PageFault(in walk, 0);
        Use(ref walk, tableAt, entry);
        if ((entry & EntryLarge) != 0 && (Context->Cr4 & Cr4.PSE) != 0)
        {
            // PSE-36: bits 20-13 are address bits 39-32, as far as there are that many. SDM vol. 3, table 4-4.
            var high = (entry >> 13) & 0x1ff;
            if (high >> Math.Min(_model.PhysicalAddressBits - 32, 8) != 0) return PageFault(in walk, PageFaultCode.Present | PageFaultCode.Reserved);
            return Finish(ref walk, ref translation, (high << 32) | (entry & 0xffc0_0000), 1 << 22, entry, checkRights);
        }
        tableAt = (entry & 0xffff_f000) | (((linear >> 12) & 0x3ff) << 2);
        entry = ReadPhysical<uint>(tableAt);
        if ((entry & EntryPresent) == 0) return PageFault(in walk, 0);
        Use(ref walk, tableAt, entry);
        return Finish(ref walk, ref translation, entry & 0xffff_f000, 1 << 12, entry, checkRights);
    }

    private WalkResult WalkPae(ref Walk walk, ref Translation translation, bool checkRights = true)
    {
        var linear = walk.Linear & 0xffff_ffff;
        Begin(ref walk, wide: true);
        var pointer = Context->Pdpte[linear >> 30];
        if ((pointer & EntryPresent) == 0) return PageFault(in walk, 0);
        var reserved = ReservedBits | 0x7ff0_0000_0000_0000;
        var tableAt = (pointer & EntryAddress) | (((linear >> 21) & 0x1ff) << 3);
        var entry = ReadPhysical<ulong>(tableAt);
        return LastLevels(ref walk, ref translation, tableAt, entry, reserved, checkRights);
    }

    private WalkResult Walk64(ref Walk walk, ref Translation translation, bool checkRights = true)
    {
        var linear = walk.Linear;
        Begin(ref walk, wide: true);
        var reserved = ReservedBits;
        var tableAt = (Context->Cr3 & EntryAddress) | (((linear >> 39) & 0x1ff) << 3);
        var entry = ReadPhysical<ulong>(tableAt);
        if ((entry & EntryPresent) == 0) return PageFault(in walk, 0);
        if ((entry & (reserved | EntryLarge)) != 0) return PageFault(in walk, PageFaultCode.Present | PageFaultCode.Reserved);
        Use(ref walk, tableAt, entry);

        tableAt = (entry & EntryAddress) | (((linear >> 30) & 0x1ff) << 3);
        entry = ReadPhysical<ulong>(tableAt);
        if ((entry & EntryPresent) == 0) return PageFault(in walk, 0);
        var large = (entry & EntryLarge) != 0;
        if ((entry & reserved) != 0 || (large && (!_model.HasGigabytePages || (entry & 0x3fff_e000) != 0)))
            return PageFault(in walk, PageFaultCode.Present | PageFaultCode.Reserved);
        Use(ref walk, tableAt, entry);
        if (large) return Finish(ref walk, ref translation, entry & 0x000f_ffff_c000_0000, 1 << 30, entry, checkRights);

        tableAt = (entry & EntryAddress) | (((linear >> 21) & 0x1ff) << 3);
        entry = ReadPhysical<ulong>(tableAt);
        return LastLevels(ref walk, ref translation, tableAt, entry, reserved, checkRights);
    }

    /// <summary>Page directory and page table of the two 64-bit formats.</summary>
    private WalkResult LastLevels(ref Walk walk, ref Translation translation, ulong tableAt, ulong entry, ulong reserved, bool checkRights)
    {
        if ((entry & EntryPresent) == 0) return PageFault(in walk, 0);
        var large = (entry & EntryLarge) != 0;
        if ((entry & reserved) != 0 || (large && (entry & 0x1f_e000) != 0)) return PageFault(in walk, PageFaultCode.Present | PageFaultCode.Reserved);
        Use(ref walk, tableAt, entry);
        if (large) return Finish(ref walk, ref translation, entry & 0x000f_ffff_ffe0_0000, 1 << 21, entry, checkRights);

        tableAt = (entry & EntryAddress) | (((walk.Linear >> 12) & 0x1ff) << 3);
        entry = ReadPhysical<ulong>(tableAt);
        if ((entry & EntryPresent) == 0) return PageFault(in walk, 0);
        if ((entry & reserved) != 0) return PageFault(in walk, PageFaultCode.Present | PageFaultCode.Reserved);
        Use(ref walk, tableAt, entry);
        return Finish(ref walk, ref translation, entry & EntryAddress, 1 << 12, entry, checkRights);
    }

    /// <summary>Address bits above MAXPHYADDR, and XD where EFER.NXE is clear.</summary>
    private ulong ReservedBits =>
        (EntryAddress & ~((1UL << _model.PhysicalAddressBits) - 1)) | ((Context->Efer & Efer.NXE) == 0 ? EntryNoExecute : 0);

    private static void Begin(ref Walk walk, bool wide)
    {
        walk.Levels = 0;
        walk.Permissions = EntryWritable | EntryUser;
        walk.NoExecute = false;
        walk.Wide = wide;
    }

    private static void Use(ref Walk walk, ulong at, ulong entry)
    {
        walk.EntryAt[walk.Levels] = at;
        walk.EntryValue[walk.Levels++] = entry;
        walk.Permissions &= entry;
        walk.NoExecute |= (entry & EntryNoExecute) != 0 && walk.Wide;
    }

    /// <summary>Access rights. SDM vol. 3, 4.6.1.</summary>
    private WalkResult Finish(ref Walk walk, ref Translation translation, ulong frame, ulong size, ulong leaf, bool checkRights)
    {
        var cr4 = Context->Cr4;
        var userPage = (walk.Permissions & EntryUser) != 0;
        var writablePage = (walk.Permissions & EntryWritable) != 0;
        bool readable, writable, executable;
        if (walk.UserMode)
        {
            readable = userPage;
            writable = userPage && writablePage;
            executable = userPage && !walk.NoExecute;
        }
        else
        {
            var smap = userPage && (cr4 & Cr4.SMAP) != 0 && (walk.ImplicitMode || (Context->SystemFlags & Rflags.AC) == 0);
            readable = !smap;
            writable = !smap && (writablePage || (Context->Cr0 & Cr0.WP) == 0);
            executable = !walk.NoExecute && !(userPage && (cr4 & Cr4.SMEP) != 0);
        }
        var allowed = walk.Kind switch { AccessKind.Read => readable, AccessKind.Write => writable, _ => executable };
        if (checkRights && !allowed) return PageFault(in walk, PageFaultCode.Present);

        translation.PhysicalPage = frame | (walk.Linear & (size - 1) & ~0xfffUL);
        translation.PageSize = size;
        translation.Readable = readable;
        translation.Executable = executable;
        translation.User = userPage;
        translation.Global = (leaf & EntryGlobal) != 0 && (cr4 & Cr4.PGE) != 0;
        translation.Dirty = (leaf & EntryDirty) != 0 || walk.Kind == AccessKind.Write;
        translation.Writable = writable && translation.Dirty;
        return WalkResult.Ok;
    }

    /// <summary>Sets accessed bits in every entry used and, for a store, the dirty bit in the last. SDM vol. 3, 4.8.</summary>
    private WalkResult MarkUsed(ref Walk walk, ref Translation translation, bool force)
    {
        for (var level = 0; level < walk.Levels; level++)
        {
            var value = walk.EntryValue[level];
            var wanted = value | EntryAccessed;
            if (level == walk.Levels - 1 && walk.Kind == AccessKind.Write) wanted |= EntryDirty;
            if (wanted == value) continue;
            if (!TryUpdateEntry(walk.EntryAt[level], value, wanted, walk.Wide, force)) return WalkResult.Changed;
        }
        return WalkResult.Ok;
    }

    private bool TryUpdateEntry(ulong at, ulong old, ulong wanted, bool wide, bool force)
    {
        var size = wide ? 8 : 4;
        var host = HostPointer(at, size, write: true);
        if (host == null)
        {
            WriteDevice(at, new ReadOnlySpan<byte>(&wanted, size));
            return true;
        }
        bool done;
        if (wide) done = Interlocked.CompareExchange(ref *(ulong*)host, wanted, old) == old;
        else done = Interlocked.CompareExchange(ref *(uint*)host, (uint)wanted, (uint)old) == (uint)old;
        if (!done && force)
        {
            if (wide) Interlocked.Or(ref *(ulong*)host, wanted & ~old);
            else Interlocked.Or(ref *(uint*)host, (uint)(wanted & ~old));
            done = true;
        }
        if (done) _cache.RamWritten(at, size);
        return done;
    }

    private WalkResult PageFault(in Walk walk, uint code)
    {
        if (walk.UserMode) code |= PageFaultCode.User;
        if (walk.Kind == AccessKind.Write) code |= PageFaultCode.Write;
        if (walk.Kind == AccessKind.Execute
            && ((Context->Cr4 & Cr4.SMEP) != 0 || ((Context->Cr4 & Cr4.PAE) != 0 && (Context->Efer & Efer.NXE) != 0)))
            code |= PageFaultCode.Fetch;
        Raise(Fault.Page(walk.Linear, code));
        return WalkResult.Fault;
    }

    /// <summary>Loads the PDPTE registers of PAE paging. SDM vol. 3, 4.4.1. False: a present entry has reserved bits, #GP(0).</summary>
    private bool TryLoadPdptes(ulong cr3)
    {
        var table = stackalloc ulong[4];
        for (var i = 0; i < 4; i++) table[i] = ReadPhysical<ulong>((cr3 & 0xffff_ffe0) + (ulong)(i * 8));
        return TrySetPdptes(new ReadOnlySpan<ulong>(table, 4)) || GeneralProtection();
    }

    /// <summary>Sets the PDPTE registers; false, with nothing changed, where there are not four or a present one has reserved bits.</summary>
    private bool TrySetPdptes(ReadOnlySpan<ulong> values)
    {
        var reserved = ~((1UL << _model.PhysicalAddressBits) - 1) | 0x1e6;
        if (values.Length != 4) return false;
        foreach (var value in values)
            if ((value & EntryPresent) != 0 && (value & reserved) != 0) return false;
        for (var i = 0; i < 4; i++) Context->Pdpte[i] = values[i];
        return true;
    }
}
