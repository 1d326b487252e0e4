// A run of generated cases: has both sides do them, and fails with the first of those that differ.
using System.Text;
using Lamina.Tests.Engine.Conformance.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>A run in one of the guest's settings.</summary>
internal sealed class CaseRun : IDisposable
{
    private readonly CaseRunner _runner;

    public CaseRun(GuestProfile profile)
    {
        Instructions = InstructionTable.For(profile.Model.InstructionSet);
        _runner = new CaseRunner(profile);
        _runner.Seen = (_, host) => Ended += host.Vector == 3 ? 1 : 0;
    }

    /// <summary>The instructions that cases are made of.</summary>
    public InstructionTable Instructions { get; }

    /// <summary>Components of the XSAVE image that cases carry, a bit each.</summary>
    public ulong Components => _runner.Components;

    /// <summary>Cases that came to their end on the host, which is a breakpoint.</summary>
    public long Ended { get; private set; }

    /// <summary>Cases compared.</summary>
    public long Compared => _runner.Compared;

    /// <summary>Does the cases; fails the test where any differs.</summary>
    /// <param name="count">How many.</param>
    /// <param name="salt">What tells the kind of case from others under the same seed.</param>
    /// <param name="generate">Fills a case, given its seed and its number.</param>
    public void Do(long count, ulong salt, Action<TestCase, ulong, long> generate)
    {
        var report = new StringBuilder();
        var found = 0;
        _runner.Found = mismatch =>
        {
            if (found++ < RunLength.Reported) report.AppendLine(mismatch.Text).AppendLine(mismatch.Case);
        };
        for (var i = 0L; i < count; i++) generate(_runner.Next(), CaseRandom.SeedOf(RunLength.Seed ^ salt, i), i);
        _runner.Flush();
        Assert.SkipWhen(_runner.NotBegun > 0 && Compared == 0, "this host does not load the segments of a program's own table (modify_ldt), by which it would run 32- and 16-bit code");
        Assert.Equal(0, _runner.NotBegun);
        Assert.True(found == 0, $"{found} of {Compared} cases differ (seed {RunLength.Seed}):\n{report}");
    }

    public void Dispose() => _runner.Dispose();
}
