// Runs cases on both sides and compares: batches go to the oracle's process while the guest runs the same ones here.
using Lamina.Host;
using Lamina.Tests.Engine.Conformance.Guest;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>One case on which the sides disagree.</summary>
/// <param name="Profile">The guest's.</param>
/// <param name="Case">As a corpus line.</param>
/// <param name="Text">Disassembly and differences.</param>
internal sealed record Mismatch(string Profile, string Case, string Text);

/// <summary>The two sides together.</summary>
internal sealed unsafe class CaseRunner : IDisposable
{
    // A kernel that does not know FSGSBASE sets the bases of FS and GS back when it switches between threads, now and then in the middle of a
    // case: what differs is done once more on the host. Linux, asm/hwcap2.h: HWCAP2_FSGSBASE.
    private const int MostRepeats = 5;
    private static readonly bool LosesBases = (ProcessAuxiliary.Hwcap2 & 2) == 0;

    private readonly NativeOracle _oracle = new();
    private GuestMachine _guest;
    private readonly TestCase[] _cases = new TestCase[OracleRange.BatchCapacity];
    private readonly CaseResult[] _guestResults = new CaseResult[OracleRange.BatchCapacity];
    private readonly bool[] _skipped = new bool[OracleRange.BatchCapacity];
    private readonly CaseResult _host;
    private readonly CompareOptions _options;
    private int _count;

    public CaseRunner(GuestProfile profile)
    {
        Components = _oracle.XsaveMask & profile.Components;
        _guest = new GuestMachine(profile, Components);
        var size = (int)profile.Model.StandardSize(Components);
        for (var i = 0; i < _cases.Length; i++)
        {
            _cases[i] = new TestCase(size, Components);
            _guestResults[i] = new CaseResult(size);
        }
        _host = new CaseResult(size);
        _options = new CompareOptions(profile.Settings.Precise, profile.Mode == GuestMode.Supervisor);
    }

    public GuestMachine Guest => _guest;

    /// <summary>Components of the XSAVE image that cases carry, a bit each.</summary>
    public ulong Components { get; }

    /// <summary>What to do with each disagreement.</summary>
    public Action<Mismatch>? Found { get; set; }

    /// <summary>Is told of every case and how the host ended it (for coverage).</summary>
    public Action<TestCase, CaseResult>? Seen { get; set; }

    /// <summary>Cases compared; those that the oracle must not judge (endless loops, system calls) are not counted.</summary>
    public long Compared { get; private set; }

    /// <summary>Cases of 32- and 16-bit code that the host did not begin: it does not load the segments of a program's own table.</summary>
    public long NotBegun { get; private set; }

    /// <summary>The object of the next case, to be filled; <see cref="Flush"/> runs what is left at the end.</summary>
    public TestCase Next()
    {
        if (_count == _cases.Length) Flush();
        return _cases[_count++];
    }

    /// <summary>Drops the case that was asked for last.</summary>
    public void TakeBack() => _count--;

    /// <summary>Runs the cases that were filled.</summary>
    public void Flush()
    {
        for (var i = 0; i < _count; i++) Write(_cases[i], ref _oracle[i]);
        _oracle.Begin(_count);
        for (var i = 0; i < _count; i++)
        {
            _skipped[i] = _guest.Profile.IsPrivileged && CaseReport.NeedsUser(_cases[i]);
            if (_skipped[i]) continue;
            try
            {
                _guest.Run(_cases[i], _guestResults[i]);
            }
            catch (InvalidOperationException failure)
            {
                _skipped[i] = true;
                Found?.Invoke(new Mismatch(_guest.Profile.Name, Corpus.Write(_cases[i]), CaseReport.Describe(_cases[i]) + failure.Message));
                var profile = _guest.Profile;
                _guest.Dispose();
                _guest = new GuestMachine(profile, Components);
            }
        }
        _oracle.End();
        for (var i = 0; i < _count; i++)
            if (!_skipped[i]) Judge(_cases[i], ref _oracle[i], _guestResults[i]);
        Array.Clear(_skipped);
        _count = 0;
    }

    public void Dispose()
    {
        _guest.Dispose();
        _oracle.Dispose();
    }

    private static void Write(TestCase test, ref CaseRecord record)
    {
        for (var i = 0; i < 16; i++) record.Gpr[i] = test.Gpr[i];
        record.Frame[0] = test.Rip;
        record.Frame[1] = test.CodeSelector;
        record.Frame[2] = test.Rflags;
        record.Frame[3] = test.Gpr[4];
        record.Frame[4] = test.StackSelector;
        (record.FsBase, record.GsBase) = (test.FsBase, test.GsBase);
        var (ds, es, fs, gs) = test.DataSelectors;
        (record.Segments[0], record.Segments[1], record.Segments[2], record.Segments[3]) = (ds, es, fs, gs);
        fixed (byte* xsave = record.Xsave) test.Xsave.CopyTo(new Span<byte>(xsave, CaseLayout.XsaveRoom));
        fixed (byte* memory = record.Memory) test.Memory.CopyTo(new Span<byte>(memory, CaseLayout.ImageSize));
    }

    private void Judge(TestCase test, ref CaseRecord record, CaseResult guest)
    {
        var differences = Compare(test, ref record, guest, first: true);
        for (var n = 0; n < MostRepeats && LosesBases && differences.Length != 0; n++)
        {
            // In the place of the first one of the batch, which was judged before any other.
            ref var again = ref _oracle[0];
            Write(test, ref again);
            _oracle.Begin(1);
            _oracle.End();
            differences = Compare(test, ref again, guest, first: false);
        }
        if (differences.Length != 0) Found?.Invoke(new Mismatch(_guest.Profile.Name, Corpus.Write(test), CaseReport.Describe(test) + differences));
    }

    private string Compare(TestCase test, ref CaseRecord record, CaseResult guest, bool first)
    {
        const int sigsys = 31, virtualAlarm = 26;
        if (record.Signal is sigsys or virtualAlarm) return "";
        Read(ref record);
        if (test.Bits != 64 && _host.Rip > uint.MaxValue)
        {
            NotBegun++;
            return "";
        }
        // Users fault where supervisors do not: privileged instructions, alignment.
        if (_guest.Profile.Mode == GuestMode.Supervisor && _host.Vector is 13 or 17) return "";
        if (_guest.Profile.Mode == GuestMode.Real && !RealTables.Align(test, _host, guest)) return "";
        test.Image?.Normalize(_host.Memory, test.Bits);
        if (first)
        {
            Compared++;
            Seen?.Invoke(test, _host);
            // Once: what it makes comparable says no more which components it has.
            CaseComparer.Normalize(guest.Xsave);
            test.Image?.Normalize(guest.Memory, test.Bits);
        }
        return CaseComparer.Differences(test, _host, guest, _options);
    }

    private void Read(ref CaseRecord record)
    {
        for (var i = 0; i < 16; i++) _host.Gpr[i] = record.Out[ContextRegister.Gpr[i]];
        _host.Rip = record.Out[ContextRegister.Rip];
        _host.Rflags = record.Out[ContextRegister.Flags];
        _host.Vector = (int)record.Out[ContextRegister.Vector];
        _host.Error = record.Out[ContextRegister.Error];
        _host.Cr2 = record.Out[ContextRegister.Cr2];
        fixed (byte* xsave = record.OutXsave) new ReadOnlySpan<byte>(xsave, _host.Xsave.Length).CopyTo(_host.Xsave);
        fixed (byte* memory = record.OutMemory) new ReadOnlySpan<byte>(memory, CaseLayout.ImageSize).CopyTo(_host.Memory);
        CaseComparer.Normalize(_host.Xsave);
    }
}
