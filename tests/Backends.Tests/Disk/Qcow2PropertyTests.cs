// Random operations, with QEMU as the judge of the image that they leave: what it reads must be what was written, and its
// check must find nothing.
using Lamina.Backends.Disk.Qcow2;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class Qcow2PropertyTests : IDisposable
{
    private const int Operations = 40;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, 60)]
    [InlineData(1001, 60)]
    public void Qemu_reads_what_was_written_and_finds_nothing_wrong(int firstSeed, int sequences) => Agree(firstSeed, sequences);

    [Fact]
    [Trait("Category", "Long")]
    public void Ten_thousand_sequences_agree_with_qemu() => Agree(10_000 + FuzzLength.Seed, FuzzLength.CasesOr(10_000));

    [Fact]
    public void What_is_read_here_is_what_was_written()
    {
        for (var seed = 0; seed < 400; seed++)
        {
            var scenario = new Qcow2Scenario(seed);
            scenario.Run(Operations);

            var header = Qcow2Header.Read(scenario.File);
            var check = Qcow2Checker.Check(scenario.File, header);
            Assert.True(check.IsClean, $"seed {seed}, {scenario.Shape}: {string.Join("; ", check.Messages)}");
            scenario.Model.AssertIs(scenario.ReadAll(scenario.File), $"seed {seed}, {scenario.Shape}");
        }
    }

    [Fact]
    public void A_host_that_is_full_now_and_then_loses_nothing_of_what_is_tried_again()
    {
        var repeated = 0;
        for (var seed = 0; seed < 200; seed++)
        {
            var host = new Random(seed);
            var scenario = new Qcow2Scenario(seed) { HostIsFull = () => host.Next(4) == 0 };
            scenario.Run(Operations);

            var check = Qcow2Checker.Check(scenario.File, Qcow2Header.Read(scenario.File));
            Assert.True(check.IsClean, $"seed {seed}, {scenario.Shape}: {string.Join("; ", check.Messages)}");
            scenario.Model.AssertIs(scenario.ReadAll(scenario.File), $"seed {seed}, {scenario.Shape}");
            repeated += scenario.Repeated;
        }
        Assert.True(repeated > 1000, $"only {repeated} operations found the host full");
    }

    private void Agree(int firstSeed, int sequences)
    {
        QemuImg.SkipWhereMissing();
        for (var seed = firstSeed; seed < firstSeed + sequences; seed++)
        {
            var scenario = new Qcow2Scenario(seed);
            scenario.Run(Operations);

            File.WriteAllBytes(_folder["base.raw"], scenario.Backing);
            File.WriteAllBytes(_folder["disk.qcow2"], scenario.File.Content);
            QemuImg.AssertClean(_folder["disk.qcow2"]);
            scenario.Model.AssertIs(QemuImg.ReadAll(_folder["disk.qcow2"], _folder["disk.raw"]), $"seed {seed}, {scenario.Shape}, as QEMU reads it");
        }
    }
}
