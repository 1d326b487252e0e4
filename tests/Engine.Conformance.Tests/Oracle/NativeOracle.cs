// The host CPU as the judge: runs cases in a process of its own (see OracleCode) and gives back the state that each ended
// in. Batches: the test fills records, starts the batch, does its own part meanwhile, and waits.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Lamina.Host;

namespace Lamina.Tests.Engine.Conformance.Oracle;

/// <summary>The oracle's process.</summary>
internal sealed unsafe partial class NativeOracle : IDisposable
{
    private const int Kill = 9, FutexNumber = 202, WaitTimeoutMilliseconds = 20_000, LookMilliseconds = 200;

    private readonly SharedMemory _memory;
    private readonly HostReservation _view, _range;
    private readonly OracleRange _layout;
    private readonly OracleControl* _control;
    private readonly delegate* unmanaged<int> _start;
    private int _process;

    public NativeOracle()
    {
        XsaveMask = HostVectorMask();
        XsaveSize = SizeOf(XsaveMask);
        if (XsaveSize > CaseLayout.XsaveRoom) throw new InvalidOperationException("the host's XSAVE image outgrew its place in a case");
        _memory = SharedMemory.Create("lamina-oracle", OracleRange.Length);
        _range = HostReservation.Reserve(OracleRange.Length, isInTwins: true);
        _view = HostReservation.Reserve(OracleRange.Length, isInTwins: true);
        _view.MapShared(0, OracleRange.Length, _memory, 0, MappingAccess.ReadWrite);
        _range.MapShared(0, OracleRange.Length, _memory, 0, MappingAccess.ReadWrite);
        _range.MapShared(0, OracleRange.CodeBytes, _memory, 0, MappingAccess.ReadExecute);
        _layout = new OracleRange((ulong)_range.Address);
        _control = (OracleControl*)(_view.Address + (nint)OracleRange.ControlAt);
        var code = OracleCode.Assemble(_layout, XsaveMask, XsaveSize, RseqOffset(), out var handler, out var restorer);
        code.CopyTo(_view.Slice(0, OracleRange.CodeBytes));
        FillControl(handler, restorer);
        _start = (delegate* unmanaged<int>)_layout.Start;
        Start();
    }

    /// <summary>Components of the XSAVE image that cases carry.</summary>
    public ulong XsaveMask { get; }

    /// <summary>Its size in bytes.</summary>
    public int XsaveSize { get; }

    /// <summary>A record of the batch.</summary>
    public ref CaseRecord this[int index] => ref *(CaseRecord*)(_view.Address + (nint)OracleRange.BatchAt + (nint)index * CaseRecord.Size);

    /// <summary>Starts the first <paramref name="count"/> records.</summary>
    public void Begin(int count)
    {
        _control->Count = (ulong)count;
        _control->TickIndex = ulong.MaxValue;
        Volatile.Write(ref _control->Request, _control->Request + 1);
        _ = syscall(FutexNumber, &_control->Request, 1, 1, 0, 0, 0);
    }

    /// <summary>Waits for the batch's end.</summary>
    public void End()
    {
        var pause = stackalloc long[2];
        (pause[0], pause[1]) = (0, LookMilliseconds * 1_000_000L);
        var (at, waited, last) = (ulong.MaxValue, 0L, Environment.TickCount64);
        while (Volatile.Read(ref _control->Done) is var done && done != _control->Request)
        {
            _ = syscall(FutexNumber, &_control->Done, 0, (nint)done, (nint)pause, 0, 0);
            // Time in which no case ends; a moment at which all of the machine stood still counts as one look.
            var (index, now) = (Volatile.Read(ref _control->Index), Environment.TickCount64);
            waited = index == at ? waited + Math.Min(now - last, LookMilliseconds) : 0;
            (at, last) = (index, now);
            if ((waited > WaitTimeoutMilliseconds || HasEnded()) && Volatile.Read(ref _control->Done) != _control->Request)
                throw new InvalidOperationException($"the oracle stopped at case {_control->Index} of its batch (stage {_control->Stage & 0xff}, errno {_control->Stage >> 8})");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_process > 0)
        {
            _ = kill(_process, Kill);
            int status;
            _ = waitpid(_process, &status, 0);
            _process = 0;
        }
        _view.Dispose();
        _range.Dispose();
        _memory.Dispose();
    }

    private void Start()
    {
        _control->Parent = (uint)Environment.ProcessId;
        (_control->Request, _control->Done) = (0, 0);
        _process = _start();
        if (_process < 0) throw new HostException("cannot fork the oracle's process");
    }

    private bool HasEnded()
    {
        int status;
        if (waitpid(_process, &status, 1) == 0) return false;
        _process = 0;
        return true;
    }

    private void FillControl(ulong handler, ulong restorer)
    {
        var bytes = (byte*)_control;
        (*(long*)(bytes + OracleControl.TimeoutAt), *(long*)(bytes + OracleControl.TimeoutAt + 8)) = (2, 0);
        const long tick = 20_000;
        (*(long*)(bytes + OracleControl.TimerAt + 8), *(long*)(bytes + OracleControl.TimerAt + 24)) = (tick, tick);
        var stack = (ulong*)(bytes + OracleControl.AltStackAt);
        (stack[0], stack[1], stack[2]) = (_layout.Start + OracleRange.AltStackAt, 0, OracleRange.StackBytes);
        var action = (ulong*)(bytes + OracleControl.ActionAt);
        (action[0], action[1], action[2], action[3]) = (handler, 0x4c00_0004, restorer, 0);
        *(ulong*)(bytes + OracleControl.MaskAt) = OracleCode.SignalMask;
        WriteLdt((uint*)(bytes + OracleControl.LdtAt));
        var filter = OracleCode.Filter();
        filter.CopyTo(new Span<ulong>(bytes + OracleControl.FilterAt, filter.Length));
        var program = (ulong*)(bytes + OracleControl.ProgramAt);
        (program[0], program[1]) = ((ulong)filter.Length, _layout.Control + OracleControl.FilterAt);
    }

    // struct user_desc: entry, base, limit, then seg_32bit:1, contents:2 (0 data, 2 code), read_exec_only:1, limit_in_pages:1, seg_not_present:1, useable:1.
    private static void WriteLdt(uint* entry)
    {
        const uint is32Bit = 1, code = 2 << 1, usable = 1 << 6;
        Span<(uint Limit, uint Flags)> entries = [(0xffff, code | usable), (0xffff, usable), (Selectors.ShortLimit, is32Bit | usable), (0xffff, is32Bit | code | usable)];
        for (var i = 0; i < entries.Length; i++, entry += 4)
            (entry[0], entry[1], entry[2], entry[3]) = ((uint)i + 1, CaseLayout.Base, entries[i].Limit, entries[i].Flags);
    }

    private static ulong HostVectorMask()
    {
        const ulong carried = 0xe7;
        var (supported, _, _, _) = X86Base.CpuId(0xd, 0);
        return (uint)supported & carried;
    }

    private static int SizeOf(ulong mask)
    {
        var size = 576;
        for (var component = 2; component < 8; component++)
        {
            if ((mask >> component & 1) == 0) continue;
            var (length, offset, _, _) = X86Base.CpuId(0xd, component);
            size = Math.Max(size, length + offset);
        }
        return size;
    }

    // glibc since 2.35 says where in a thread's block its restartable sequences are registered.
    private static long RseqOffset()
    {
        var library = NativeLibrary.Load("libc.so.6");
        return NativeLibrary.TryGetExport(library, "__rseq_size", out var size) && *(uint*)size != 0
            && NativeLibrary.TryGetExport(library, "__rseq_offset", out var offset) ? *(long*)offset : 0;
    }

    [LibraryImport("libc")]
    private static partial long syscall(long number, void* a, nint b, nint c, nint d, nint e, nint f);

    [LibraryImport("libc")]
    private static partial int kill(int process, int signal);

    [LibraryImport("libc")]
    private static partial int waitpid(int process, int* status, int options);
}
