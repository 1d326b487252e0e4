// What a CPU model does not offer is #UD before anything else is looked at, above all before the memory operand (SDM vol. 3, table
// 6-2: faults of decoding come first), whether the host has it or not.
using System.Text;
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Guest;
using Lamina.Tests.Engine.Conformance.Oracle;
using Xunit;

namespace Lamina.Tests.Engine.Conformance;

public sealed class NotOfferedTests
{
    private const int InvalidOpcode = 6;

    public static TheoryData<string, string> Runs
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var profile in GuestProfile.All.Where(profile => !profile.IsHost || profile.Name is "default" or "supervisor" or "real"))
                foreach (var mode in Enum.GetValues<CodeMode>())
                    if (profile.Runs(mode)) data.Add(profile.Name, mode.ToString());
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void What_is_not_offered_is_an_invalid_opcode_before_its_operand_is_looked_at(string profileName, string modeName)
    {
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        var mode = Enum.Parse<CodeMode>(modeName);
        var table = InstructionTable.For(profile.Model.InstructionSet);
        var generator = new CaseGenerator(table);
        var size = (int)profile.Model.StandardSize(profile.Components);
        using var machine = new GuestMachine(profile, profile.Components);
        var (test, result) = (new TestCase(size, profile.Components), new CaseResult(size));
        var report = new StringBuilder();
        var (ran, seed) = (0, 0L);

        foreach (var code in table.NotOffered(mode switch { CodeMode.Long => 64, CodeMode.Based16 => 16, _ => 32 }))
        {
            for (var n = 0; n < 2; n++)
            {
                generator.Generate(test, CaseRandom.SeedOf(0x0ff, seed++), mode, code, unmapped: true);
                // None that runs into the end of what is mapped: its bytes cannot be fetched.
                if (test.CodeLength == 0 || test.CodeAt + test.CodeLength >= CaseLayout.ImageSize) continue;
                machine.Run(test, result);
                ran++;
                // Real mode has the case elsewhere; the first exception is the instruction's, whose alone the code is.
                if (result.Vector != InvalidOpcode || (result.Rip != test.Rip && profile.Mode != GuestMode.Real)) report.AppendLine($"{code}: vector {result.Vector} at {result.Rip:x}\n{CaseReport.Describe(test)}");
            }
        }

        Assert.True(report.Length == 0, report.ToString());
        Assert.True(ran > 20, $"only {ran} cases");
    }
}
