// What a host's /dev/kvm is worth: the timed run is made once for each boot of the host and each set of virtualization modules
// (HostMemo keeps its result).
using System.Globalization;
using Lamina.Engines;
using Lamina.Engines.Kvm;
using Lamina.Folders;

namespace Lamina.Choice;

/// <summary>What was found.</summary>
/// <param name="WhyNot">Why the engine cannot be used, as a sentence; null where it can.</param>
/// <param name="InstructionsPerSecond">The measured speed of kernel mode; 0 where it cannot be used.</param>
internal sealed record KvmVerdict(string? WhyNot, double InstructionsPerSecond)
{
    /// <summary>Whether it runs a guest's kernel at the CPU's speed.</summary>
    internal bool IsHardware => WhyNot is null && InstructionsPerSecond >= KvmSupport.SlowestHardware;

    /// <summary>The speed in words.</summary>
    internal string Speed => SpeedOf(InstructionsPerSecond);

    /// <summary>Instructions a second in words.</summary>
    internal static string SpeedOf(double instructionsPerSecond) =>
        string.Create(CultureInfo.InvariantCulture, $"{Math.Round(instructionsPerSecond / 1e6, instructionsPerSecond >= 1e8 ? 0 : 1)} million instructions a second");
}

/// <summary>What the verdict is made from; tests put their own in.</summary>
internal sealed record KvmHost
{
    /// <summary>Why the engine cannot be used, or null.</summary>
    internal Func<string?> WhyNot { get; init; } = () => KvmSupport.WhyNot();

    /// <summary>Times kernel mode.</summary>
    internal Func<double> Measure { get; init; } = () => KernelModeSpeed.Measure(new KvmEngine());

    /// <summary>What must be the same for a measurement to hold: the boot of the host, and what provides virtualization.</summary>
    internal Func<string> Identity { get; init; } = ReadIdentity;

    /// <summary>Where a measurement is kept; null for nowhere.</summary>
    internal string? File { get; init; } = UserFolders.Cache is { } folder ? Path.Combine(folder, "kvm-speed") : null;

    /// <summary>The verdict: as it was kept, or found now.</summary>
    internal KvmVerdict Judge()
    {
        if (WhyNot() is { } missing) return new KvmVerdict(missing, 0);
        var memo = new HostMemo(File, Identity());
        if (memo.Recall() is { } known) return new KvmVerdict(null, known);
        try
        {
            var measured = Measure();
            memo.Keep(measured);
            return new KvmVerdict(null, measured);
        }
        catch (IOException refused)
        {
            return new KvmVerdict(refused.Message, 0);
        }
    }

    private static string ReadIdentity() =>
        $"{HostMemo.ReadBoot()} {string.Join(' ', ((string[])["kvm_intel", "kvm_amd", "kvm_pvm"]).Where(name => Directory.Exists($"/sys/module/{name}")))}";
}
