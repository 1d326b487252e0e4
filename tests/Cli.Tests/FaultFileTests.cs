// What is left of a fault of the program's own: a sentence with the name of a file that only its owner may read.
using System.Text.RegularExpressions;
using Lamina.Cli;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class FaultFileTests
{
    [Fact]
    public void The_details_of_a_fault_are_their_owners_alone()
    {
        var sentence = Failures.Fault(new InvalidOperationException("the reason of this fault"));

        var said = Regex.Match(sentence, @"^internal error \(InvalidOperationException\): this is a fault of lamina's, the details are in (.+)$");
        Assert.True(said.Success, sentence);
        var file = said.Groups[1].Value;
        try
        {
            // The words of the command line are in it.
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            var lines = File.ReadAllLines(file);
            Assert.Contains(Environment.CommandLine, lines[0], StringComparison.Ordinal);
            Assert.Contains("the reason of this fault", lines[1], StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
