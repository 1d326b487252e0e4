// Where a vCPU's time goes, for --stats: generated code, waiting, and by kind of exit the handling of it. Kept only where
// it is asked for, since two looks at the clock cost a tenth of an exit.
using System.Diagnostics;
using Lamina.Core.Inspection;
using Lamina.Engines.Translator.Code;

namespace Lamina.Engines.Translator.Runtime;

internal sealed class TimeLedger
{
    private const int Handlers = (int)SiteKind.Undecodable + 1, Other = Handlers, Code = Handlers + 1, Halted = Handlers + 2;

    private readonly long[] _ticks = new long[Handlers + 3];
    private long _since = Stopwatch.GetTimestamp();
    private int _account = Other;

    /// <summary>Generated code is entered.</summary>
    public void Enter() => SwitchTo(Code);

    /// <summary>Generated code was left.</summary>
    public void Leave(SiteKind kind) => SwitchTo((int)kind);

    /// <summary>The vCPU is about to wait.</summary>
    public void Halt() => SwitchTo(Halted);

    /// <summary>Something else is done: delivering interrupts, what the machine wants.</summary>
    public void DoOther() => SwitchTo(Other);

    /// <summary>Says the accounts.</summary>
    public void Count(CounterList counters)
    {
        for (var i = 0; i < _ticks.Length; i++) counters.Total("vcpu_time_nanoseconds", (long)Stopwatch.GetElapsedTime(0, _ticks[i]).TotalNanoseconds, "where the vCPU's time went", CounterUnit.Nanoseconds, NameOf(i));
    }

    private static string NameOf(int account) => account switch
    {
        Other => "other",
        Code => "generated code",
        Halted => "halted",
        _ => $"exit {((SiteKind)account).ToString().ToLowerInvariant()}",
    };

    private void SwitchTo(int account)
    {
        var now = Stopwatch.GetTimestamp();
        _ticks[_account] += now - _since;
        (_since, _account) = (now, account);
    }
}
