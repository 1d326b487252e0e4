// Every case that ever differed, in every setting of the engine.
using System.Text;
using Iced.Intel;
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Guest;
using Xunit;

namespace Lamina.Tests.Engine.Conformance;

public sealed class CorpusTests
{
    public static TheoryData<string> Profiles => [.. GuestProfile.All.Select(profile => profile.Name)];

    [Theory]
    [MemberData(nameof(Profiles))]
    public void No_past_mismatch_comes_back(string profileName)
    {
        var profile = GuestProfile.All.First(candidate => candidate.Name == profileName);
        var lines = File.ReadLines(Path.Combine(AppContext.BaseDirectory, "corpus.txt")).Where(line => line.Length != 0 && line[0] != '#').ToList();
        using var runner = new CaseRunner(profile);
        var report = new StringBuilder();
        runner.Found = mismatch => report.AppendLine(mismatch.Text).AppendLine(mismatch.Case);
        var table = InstructionTable.For(profile.Model.InstructionSet);
        var (read, taken) = (0, 0);
        foreach (var line in lines)
        {
            if (!profile.Runs(Corpus.ModeOf(line))) continue;
            var test = runner.Next();
            Corpus.Read(line, test);
            read++;
            if (!profile.IsHost && CaseReport.Contains(test, code => code == Code.INVALID || table.IsExcluded(code, test.Bits))) runner.TakeBack();
            else taken++;
        }
        runner.Flush();
        Assert.True(report.Length == 0, report.ToString());
        // What the model does not offer and the host has is the host model's, and so is what only some processors take for an instruction.
        Assert.True(taken == read || (!profile.IsHost && taken > read / 10), $"{taken} of {read} lines were run");
    }

    [Fact]
    public void A_case_is_the_same_when_read_back()
    {
        using var runner = new CaseRunner(GuestProfile.All[0]);
        var written = runner.Next();
        var read = runner.Next();
        for (var i = 0L; i < 200; i++)
        {
            new CaseGenerator(InstructionTable.For(GuestProfile.All[0].Model.InstructionSet)).Generate(written, CaseRandom.SeedOf(7, i), (CodeMode)(i & 3));
            Corpus.Read(Corpus.Write(written), read);
            Assert.Equal(written.Memory, read.Memory);
            Assert.Equal(written.Xsave, read.Xsave);
            Assert.Equal(written.Gpr, read.Gpr);
            Assert.Equal((written.Rip, written.Rflags, written.UndefinedFlags), (read.Rip, read.Rflags, read.UndefinedFlags));
        }
    }
}
