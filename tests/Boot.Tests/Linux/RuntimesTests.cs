// Programs of the runtimes that people use (compilers at run time, collectors, virtual machines, databases, servers) compute in a guest
// what they compute on the host, digit for digit: on one and two CPUs, with translations kept from one run to the next and without. The
// programs are in Linux/Runtimes; a Debian with all of the runtimes is installed for them, so this runs on request.
using Lamina.Images;
using DebianSources = Lamina.Images.Debian.DebianSources;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class RuntimesTests(ITestOutputHelper output) : IDisposable
{
    private const string Packages = "util-linux,mount,coreutils,iproute2,procps,curl,gcc,libc6-dev,golang-go,default-jdk-headless,nodejs,python3,pypy3,perl,ruby,php-cli,erlang-base,erlang-crypto,luajit,sqlite3,postgresql-15,redis-server,nginx-light";
    private const string DiskSize = "6G";
    private const int Runtimes = 17;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(40);

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-runtimes-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Runtimes_compute_in_a_guest_what_they_compute_on_the_host()
    {
        AllTests.SkipUnlessAsked("a Debian with seventeen runtimes is installed, and each computes for minutes");
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "the runtimes are tried on the host in a root of their own, which needs root");
        var image = await DebianImage.GetAsync();
        var root = await InstallAsync();

        var native = Read(await ShellAsync($"unshare --mount --pid --net --fork --mount-proc={root}/proc chroot {root} sh -c 'mount -t tmpfs -o mode=1777 tmp /tmp; mount -t devtmpfs dev /dev; mkdir -p /dev/shm; mount -t tmpfs shm /dev/shm; ip link set lo up; /runtimes/run'"));
        Assert.Equal(Runtimes, native.Count);
        Assert.Empty(native.Where(line => line.Value.StartsWith("failed", StringComparison.Ordinal)).Select(line => $"{line.Key} {line.Value}"));
        await ShellAsync($"mke2fs -q -t ext4 -d {root} {In("disk")} {DiskSize}");

        var archive = In("archive");
        foreach (var (cpus, kept) in ((int, string)[])[(1, "off"), (2, "off"), (1, archive), (1, archive), (2, archive)])
        {
            var guest = Read(await RunAsync(image, cpus, kept));
            output.WriteLine($"{cpus} CPUs, archive {(kept == "off" ? "off" : "on")}: {guest.Count(line => native.GetValueOrDefault(line.Key) == line.Value)} of {native.Count} the same");
            foreach (var (name, digest) in native) Assert.Equal((name, digest), (name, guest.GetValueOrDefault(name)));
        }
    }

    private string In(string name) => Path.Combine(_folder, name);

    private async Task<string> InstallAsync()
    {
        var mmdebstrap = HostCommand.Find("mmdebstrap");
        Assert.SkipWhen(mmdebstrap is null, "mmdebstrap is not installed; apt-get install mmdebstrap");
        var sources = await DebianSources.OfHostAsync("bookworm", Cancellation);
        Assert.SkipWhen(sources.Lines.Count == 0, "this host has no package sources of Debian's");
        var root = In("root");
        var result = await mmdebstrap.RunAsync(["--variant=minbase", "--format=directory", $"--include={Packages}", .. sources.Options.Select(option => $"--aptopt={option}"), "bookworm", root, .. sources.Lines], _folder, null, Cancellation);
        Assert.SkipUnless(result.ExitCode == 0, $"the runtimes cannot be installed here: {string.Join(' ', result.Errors.TakeLast(3))}");
        await ShellAsync($"mkdir {root}/runtimes && cp {Path.Combine(AppContext.BaseDirectory, "Linux", "Runtimes")}/* {root}/runtimes && chmod 0755 {root}/runtimes {root}/runtimes/run {root}/runtimes/init");
        return root;
    }

    private async Task<IReadOnlyList<string>> RunAsync(Image image, int cpus, string archive)
    {
        await using var machine = Machine.Create(new MachineDefinition
        {
            Engine = TestEngine.Default,
            Cpus = cpus,
            MemoryBytes = 2ul << 30,
            CodeArchive = archive,
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = "console=ttyS0 root=/dev/vda rw quiet panic=-1 init=/runtimes/init" },
            Devices = [new DiskDevice { Path = In("disk"), Format = ImageFormat.Raw, Temporary = true }, new SerialDevice { To = new ConsoleTarget.Memory() }],
        });
        var run = machine.RunAsync(Cancellation);
        await machine.Serial.ReadUntilAsync($"BEGIN {cpus}").WaitAsync(Patience, Cancellation);
        var lines = await machine.Serial.ReadUntilAsync("\nEND").WaitAsync(Patience, Cancellation);
        Assert.Equal(MachineEnd.PoweredOff, (await run.WaitAsync(Patience, Cancellation)).End);
        return lines.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    private async Task<IReadOnlyList<string>> ShellAsync(string command)
    {
        var result = await HostCommand.At("/bin/sh").RunAsync(["-c", command], _folder, null, Cancellation);
        Assert.True(result.ExitCode == 0, $"{command}: {string.Join('\n', result.Errors)}");
        return result.Output;
    }

    // A runtime a line: its name and what it computed.
    private static Dictionary<string, string> Read(IEnumerable<string> lines) => lines.Select(line => line.Split(' ', 2)).Where(line => line.Length == 2 && line[0] is not "END").DistinctBy(line => line[0]).ToDictionary(line => line[0], line => line[1].TrimEnd());
}
