// The power fails at any write: after that the image must check clean but for clusters that are counted and not used, and
// hold every write that was flushed. What is left must be as good as new: repaired, it leaks nothing.
using Lamina.Backends.Disk.Qcow2;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class Qcow2PowerLossTests : IDisposable
{
    private const int Operations = 30;
    private const int LeaksOnly = 3;

    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void After_a_power_loss_at_any_write_every_flushed_byte_is_there()
    {
        for (var seed = 0; seed < 60; seed++) LosePower(seed, chance: 12, judge: null);
    }

    [Fact]
    public void After_a_power_loss_qemu_finds_no_damage()
    {
        QemuImg.SkipWhereMissing();
        var judged = 0;
        for (var seed = 5000; judged < 100; seed++) judged += LosePower(seed, chance: 40, Judge);
    }

    [Fact]
    [Trait("Category", "Long")]
    public void After_a_thousand_power_losses_qemu_finds_no_damage()
    {
        QemuImg.SkipWhereMissing();
        var judged = 0;
        for (var seed = 20_000 + FuzzLength.Seed; judged < FuzzLength.CasesOr(1000); seed++) judged += LosePower(seed, chance: 10, Judge);
    }

    // One time in so many, whenever something is about to reach the file.
    private static int LosePower(int seed, int chance, Action<Qcow2Scenario, byte[], string>? judge)
    {
        var scenario = new Qcow2Scenario(seed);
        var random = new Random(seed);
        var losses = new List<byte[]>();
        var events = 0;
        scenario.File.Before = _ =>
        {
            events++;
            if (random.Next(chance) == 0) losses.Add(scenario.File.AfterPowerLoss(random));
            Examine();
        };
        scenario.Run(Operations);
        return losses.Count;

        // At once, since the model says what may be there at this moment.
        void Examine()
        {
            if (losses.Count == 0 || losses[^1].Length == 0) return;
            var image = losses[^1];
            losses[^1] = [];
            var when = $"seed {seed}, {scenario.Shape}, power loss at event {events}";
            var file = new RecordingFile(image);
            var header = Qcow2Header.Read(file);
            var found = Qcow2Checker.Check(file, header);
            Assert.True(found.Errors == 0 || header.IsDirty, $"{when}: {string.Join("; ", found.Messages)}");
            scenario.Model.AssertMayBe(scenario.ReadAll(file), when);
            header = Qcow2Checker.Repair(file, Qcow2Header.Read(file));
            Assert.True(Qcow2Checker.Check(file, header).IsClean, $"{when}: the repaired image does not check clean");
            judge?.Invoke(scenario, header.HasLazyRefcounts ? file.Content : image, when);
        }
    }

    private void Judge(Qcow2Scenario scenario, byte[] image, string when)
    {
        File.WriteAllBytes(_folder["base.raw"], scenario.Backing);
        File.WriteAllBytes(_folder["disk.qcow2"], image);
        var (code, output) = QemuImg.Check(_folder["disk.qcow2"]);
        Assert.True(code is 0 or LeaksOnly, $"{when}: qemu-img check exited with {code}: {output}");
        scenario.Model.AssertMayBe(QemuImg.ReadAll(_folder["disk.qcow2"], _folder["disk.raw"]), $"{when}, as QEMU reads it");
    }
}
