// Runs a small guest to its end on one machine, and says how it ended. Whatever the guest does, the machine must end in
// one of its orderly ways; a failure of the engine or a machine that does not end is the test's failure.
using Lamina.Choice;
using Lamina.Core.Logging;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class GuestRun
{
    internal const ulong Memory = 64 << 20;

    // A guest that never ends is stopped after this time. It is then asked to stop and must do so at once.
    private static readonly TimeSpan Endless = TimeSpan.FromSeconds(2), Hung = TimeSpan.FromSeconds(60);

    internal static MachineDefinition Spec(string kernel) => new()
    {
        Boot = new BootSource { KernelPath = kernel },
        MemoryBytes = Memory,
        DebugExitPort = TestKernels.DebugExitPort,
        NoReboot = true,
        Timeout = Endless,
        Engine = TestEngine.Default,
        Irqchip = TestEngine.Irqchip,
    };

    private static readonly MachineHooks s_hooks = new() { Log = Environment.GetEnvironmentVariable("LAMINA_TEST_TRACE") is null ? null : Log.To(line => Console.Error.WriteLine(line.Message), LogLevel.Trace) };

    /// <summary>Runs a kernel; fails the test where the VMM did not end in an orderly way.</summary>
    internal static Task<MachineResult> RunAsync(byte[] kernel) => RunAsync(kernel, spec => spec);

    /// <summary>Runs a kernel in a machine that differs from the usual.</summary>
    internal static async Task<MachineResult> RunAsync(byte[] kernel, Func<MachineDefinition, MachineDefinition> change)
    {
        var result = await TryAsync(kernel, change);
        Assert.SkipWhen(IsBeyondKvm(result), result.Message ?? "");
        Assert.True(result.End != MachineEnd.Failed, $"the machine failed: {result.Message}");
        return result;
    }

    /// <summary>The guest executed what the host's kernel cannot emulate, and the machine ended with a sentence that says so.</summary>
    internal static bool IsBeyondKvm(MachineResult result)
    {
        const string words = "cannot emulate an instruction", report = "its state is in ";
        if (TestEngine.Default != EngineChoice.Kvm || result.Message?.Contains(words, StringComparison.Ordinal) != true) return false;
        // Nobody looks into the report that comes with it.
        File.Delete(result.Message[(result.Message.IndexOf(report, StringComparison.Ordinal) + report.Length)..]);
        return true;
    }

    /// <summary>Skips a test whose guest executes more than a software-assisted KVM can in a test's time.</summary>
    internal static void SkipWhereSoftwareAssisted() => SkipWhereSoftwareAssisted(TestEngine.Default, "takes minutes for this guest");

    /// <summary>Skips a test on KVM where that is software-assisted, and says what such a one does.</summary>
    internal static void SkipWhereSoftwareAssisted(EngineChoice engine, string does) =>
        Assert.SkipWhen(engine == EngineChoice.Kvm && !new KvmHost().Judge().IsHardware, $"/dev/kvm is software-assisted here, which {does}");

    /// <summary>Runs a kernel and gives whatever end it had.</summary>
    internal static Task<MachineResult> TryAsync(byte[] kernel) => TryAsync(kernel, spec => spec);

    private static async Task<MachineResult> TryAsync(byte[] kernel, Func<MachineDefinition, MachineDefinition> change)
    {
        using var file = new KernelFile(kernel);
        await using var machine = Machine.Create(change(Spec(file.Path)), s_hooks);
        return await machine.RunAsync().WaitAsync(Hung);
    }

    /// <summary>The code that <see cref="Code.Exit"/> of a value ends with.</summary>
    internal static int CodeOf(byte value) => (value << 1) | 1;
}

/// <summary>A kernel in a file, for as long as a test.</summary>
internal sealed class KernelFile : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-guest-").FullName;

    internal KernelFile(byte[] kernel) => File.WriteAllBytes(Path, kernel);

    internal string Path => System.IO.Path.Combine(_folder, "kernel");

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
