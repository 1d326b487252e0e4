// A machine that goes from process to process while it is busy: its guest's sums stay exact, its kernel complains of nothing, its time does not go backwards.
using System.Globalization;
using Lamina.Backends.Disk;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class MigratedMachineTests : IDisposable
{
    private const ulong MiB = 1 << 20;

    // Rounds on two disks and of the CPU's arithmetic, memory that is written all the time, and clocks that are read one behind the other.
    private const string Load = GuestLoad.Disk + "\n" + """
        right=$(sha256sum <data)
        sums() {
          n=0
          until [ -e stop ]; do
            [ "$(cat data | sha256sum)" = "$right" ] || echo "sum, round $n" >>bad
            n=$((n+1))
          done
          echo "sums $n" >>rounds
        }
        pages() {
          n=0
          until [ -e stop ]; do
            cp data pages$((n%8)) && cmp data pages$((n%8)) || echo "pages, round $n" >>bad
            n=$((n+1))
          done
          echo "pages $n" >>rounds
        }
        clocks() {
          n=0 last=0 wall=0
          until [ -e stop ]; do
            read -r up rest </proc/uptime
            now=$(date +%s)
            [ ${up%.*}${up#*.} -ge $last ] || echo "uptime $up behind $last" >>bad
            [ $now -ge $wall ] || echo "date $now behind $wall" >>bad
            last=${up%.*}${up#*.} wall=$now n=$((n+1))
          done
          echo "clocks $n" >>rounds
        }
        disk /dev/vda & disk /dev/vdb & sums & pages & clocks &
        wait
        touch done
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-migrated-").FullName;

    public static TheoryData<string> OneOfEachWhereAsked => GuestConfiguration.OneOfEachWhereAsked;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(OneOfEachWhereAsked))]
    public async Task A_busy_machine_goes_from_process_to_process_again_and_again(string name)
    {
        var configuration = GuestConfiguration.Of(name);
        var image = await TinyImage.GetAsync();
        Directory.CreateDirectory(In("bin"));
        File.WriteAllText(In("bin/load"), Load);
        var moves = AllTests.AreAsked ? 200 : 4;
        var random = new Random(moves);
        var guest = await GuestProcess.BootAsync(new MachineDefinition
        {
            Type = configuration.Machine,
            Engine = configuration.Engine,
            Irqchip = TestEngine.Irqchip,
            MemoryBytes = 96 * MiB,
            Cpus = configuration.Cpus,
            Boot = new BootSource { KernelPath = image.KernelPath, InitrdPath = image.InitrdPath, CommandLine = image.CommandLine },
            Devices = [GuestLoad.Create(In("a.qcow2"), DiskFormat.Qcow2), GuestLoad.Create(In("b.qcow2"), DiskFormat.Qcow2), new BalloonDevice(), new ShareDevice { Path = In("bin"), Tag = "bin", ReadOnly = true }, new NetworkDevice()],
        }, In("machine.json"), bash: false);
        try
        {
            await guest.DoAsync("mkdir -p /mnt/bin; mount -t virtiofs bin /mnt/bin; (sh /mnt/bin/load </dev/null >/dev/null 2>&1 &)");
            var stood = new List<double>();
            for (var move = 1; move <= moves; move++)
            {
                // Any moment: some requests later.
                await guest.AdvanceAsync(random.Next(1, 200));
                var place = move.ToString(CultureInfo.InvariantCulture);
                (guest, var time) = await guest.MigrateAsync(In($"link-{place}"), place);
                stood.Add(time.TotalMilliseconds);
                if (move % 3 == 0) Assert.Equal("42\n", await guest.DoAsync("echo $((6*7))"));
                foreach (var left in Directory.EnumerateFiles(_folder, "*@*").Where(file => !file.EndsWith($"@{place}", StringComparison.Ordinal))) File.Delete(left);
                File.Delete(In($"link-{place}"));
            }
            await guest.DoAsync("touch /tmp/stop; until [ -e /tmp/done ]; do sleep 0.1; done");
            var bad = await guest.DoAsync("[ ! -e /tmp/bad ] || { cat /tmp/bad; dmesg | tail -n 30; }");
            Assert.True(bad.Length == 0, bad);
            var rounds = await guest.DoAsync("cat /tmp/rounds");
            Assert.Equal(5, rounds.Count(c => c == '\n'));
            Assert.DoesNotContain(" 0\n", rounds, StringComparison.Ordinal);
            // It is the same machine.
            Assert.Matches("^ *0 .*enabled", await guest.DoAsync("cat /sys/firmware/acpi/interrupts/gpe01"));
            Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
            KernelLog.AssertNoComplaints(await guest.DoAsync("dmesg"));
            await guest.TypeAsync("poweroff");
            Assert.Equal(MachineEnd.PoweredOff, await guest.EndAsync());
            stood.Sort();
            TestContext.Current.SendDiagnosticMessage("{0}: {1} moves, stood still for {2:0.0} ms (median), {3:0.0} at most; {4}", name, moves, stood[stood.Count / 2], stood[^1], rounds.ReplaceLineEndings(", "));
        }
        finally
        {
            guest.Dispose();
        }
    }

    private string In(string name) => Path.Combine(_folder, name);
}
