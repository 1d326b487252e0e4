// What a guest that prints without end makes a machine's process keep, in memory and in its folder.
using System.Text;
using Lamina.Hypervisor.Consoles;
using Lamina.Hypervisor.Running;
using Xunit;

namespace Lamina.Tests.Hypervisor.Consoles;

public sealed class ConsoleBoundsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-consoles-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Of_output_that_nobody_reads_the_latest_is_kept_and_how_much_was_missed_is_known()
    {
        using var hub = new ConsoleHub(null);
        var piece = new byte[64 << 10];
        for (var i = 0; i < 20; i++)
        {
            Array.Fill(piece, (byte)i);
            Assert.Equal(piece.Length, hub.Write(piece));
        }

        Assert.Equal((4 * piece.Length, 20 * piece.Length), hub.Kept);
        var (count, skipped) = await hub.ReadAsync(0, piece, Cancellation);
        Assert.Equal((4L * piece.Length, (byte)4), (skipped, piece[0]));
        Assert.InRange(count, 1, piece.Length);
    }

    [Fact]
    public void The_file_of_a_consoles_output_becomes_the_old_one_when_it_is_full()
    {
        var path = Path.Combine(_folder, "console.log");
        using (var hub = new ConsoleHub(new ConsoleLog(path, _ => { }, most: 100 << 10)))
        {
            var piece = new byte[8 << 10];
            for (var i = 0; i < 100; i++)
            {
                Array.Fill(piece, (byte)i);
                for (var done = 0; done < piece.Length; Cancellation.ThrowIfCancellationRequested()) done += hub.Write(piece.AsSpan(done));
            }
        }

        Assert.Equal(["console.log", "console.log.old"], Directory.EnumerateFiles(_folder).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
        Assert.All(Directory.EnumerateFiles(_folder), file => Assert.InRange(new FileInfo(file).Length, 1, 100 << 10));
        Assert.Equal(99, File.ReadAllBytes(path)[^1]);
    }

    [Fact]
    public void The_log_of_a_process_becomes_the_old_one_when_it_is_full()
    {
        var path = Path.Combine(_folder, "log");
        using (var log = new MachineLogFile(path))
            for (var i = 0; i < 50; i++) log.Write($"{i} {new string('x', 64 << 10)}");

        Assert.Equal(["log", "log.old"], Directory.EnumerateFiles(_folder).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
        Assert.All(Directory.EnumerateFiles(_folder), file => Assert.InRange(new FileInfo(file).Length, 1, MachineLogFile.MostBytes));
        Assert.Contains(" 49 xxx", Encoding.UTF8.GetString(File.ReadAllBytes(path)), StringComparison.Ordinal);
    }
}
