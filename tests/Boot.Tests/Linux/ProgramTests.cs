// Debian's kernel in the program itself, as ./test built it: native code where that can be had. What the other tests here prove of the
// library, one session with every kind of device proves of the program; what the words mean is proved by Cli.Tests.
using System.Security.Cryptography;
using Lamina.Tests.Boot.Support;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class ProgramTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_guest_with_every_device_works_and_powers_off(int cpus)
    {
        Assert.SkipUnless(File.Exists(LaminaProgram.File), "the program is not built here; ./test Boot.Tests builds it");
        Assert.SkipUnless(TestEngine.Default == EngineChoice.Translator, "the tests were asked for on KVM alone");
        await TinyImage.GetAsync();
        var content = new byte[2 << 20];
        Random.Shared.NextBytes(content);
        File.WriteAllBytes(_folder.File("disk"), content);
        _folder.Folder("share");
        File.WriteAllBytes(_folder.File("share/file"), content);
        var sum = Convert.ToHexStringLower(SHA256.HashData(content));
        using var run = HostProcess.Start(LaminaProgram.File, ["run", "--engine", "translator", "--memory", "256M", "--cpus", $"{cpus}", "--disk", _folder.File("disk"),
            "--share", $"{_folder.File("share")}:host", "--net", "user", "--vsock", $"3,path={_folder.File("vsock")}", "--balloon", "--stats", "--timeout", "110s"], keepsInput: true);
        await run.SaidAsync("~ # ");

        var number = 0;
        foreach (var (command, answer) in ((string, string)[])
        [
            ("echo cpus $(nproc)", $"cpus {cpus}"),
            ("echo disk $(sha256sum </dev/vda)", $"disk {sum}"),
            ("mkdir /mnt/host; mount -t virtiofs host /mnt/host && echo file $(sha256sum </mnt/host/file)", $"file {sum}"),
            ("dd if=/dev/vda of=/mnt/host/copy bs=64k && sync; echo copied $?", "copied 0"),
            ("echo random $(dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c)", "random 64"),
            ("until ip -4 address show dev eth0 | grep -o 'inet [0-9.]*'; do sleep 0.1; done", "inet 10.0.2.15"),
            ("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; echo counted $i", "counted 3000"),
        ])
        {
            // The echo of what is typed does not hold the mark whole.
            await run.TypeAsync($"{command}; echo 'done'-{++number}\n");
            await run.SaidAsync($"done-{number}\r\n");
            await run.SaidAsync(answer);
        }
        await run.TypeAsync("poweroff\n");
        var outcome = await run.EndAsync();

        Assert.Equal(0, outcome.ExitCode);
        Assert.Contains("translator", outcome.Errors, StringComparison.Ordinal);
        Assert.Equal(content, File.ReadAllBytes(_folder.File("share/copy")));
    }
}
