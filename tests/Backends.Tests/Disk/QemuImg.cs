// QEMU's programs for images, as the judge of what is written here. Tests that need them are skipped where they are not
// installed (Debian: qemu-utils).
using System.Diagnostics;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

internal static class QemuImg
{
    private static readonly bool Installed = File.Exists("/usr/bin/qemu-img") && File.Exists("/usr/bin/qemu-io");

    public static void SkipWhereMissing() => Assert.SkipUnless(Installed, "qemu-img and qemu-io (qemu-utils) are not installed on this host");

    /// <summary>Runs qemu-img, which must succeed.</summary>
    public static string Run(params string[] words)
    {
        var (code, output) = Start("/usr/bin/qemu-img", words);
        Assert.True(code == 0, $"qemu-img {string.Join(' ', words)} exited with {code}: {output}");
        return output;
    }

    /// <summary>Runs qemu-io's commands on an image.</summary>
    public static void Io(string path, params string[] commands)
    {
        var (code, output) = Start("/usr/bin/qemu-io", ["-f", "qcow2", .. commands.SelectMany(command => new[] { "-c", command }), path]);
        Assert.True(code == 0, $"qemu-io exited with {code}: {output}");
    }

    /// <summary>The exit code of a check: 0 clean, 2 damaged, 3 leaks only; and what was said.</summary>
    public static (int Code, string Output) Check(string path) => Start("/usr/bin/qemu-img", ["check", "-f", "qcow2", path]);

    public static void AssertClean(string path)
    {
        var (code, output) = Check(path);
        Assert.True(code == 0, $"qemu-img check exited with {code}: {output}");
    }

    /// <summary>What QEMU reads in a disk.</summary>
    public static byte[] ReadAll(string path, string raw)
    {
        Run("convert", "-f", "qcow2", "-O", "raw", path, raw);
        return File.ReadAllBytes(raw);
    }

    private static (int Code, string Output) Start(string program, IEnumerable<string> words)
    {
        var info = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var word in words) info.ArgumentList.Add(word);
        using var process = Process.Start(info)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }
}
