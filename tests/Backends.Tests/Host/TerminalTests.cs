using Xunit;

namespace Lamina.Tests.Backends.Host;

/// <summary>The terminal is as it was, whatever way the process goes.</summary>
public class TerminalTests
{
    [Theory]
    [InlineData("INT", 2), InlineData("QUIT", 3), InlineData("HUP", 1), InlineData("TERM", 15)]
    public void A_signal_that_ends_the_process_leaves_the_terminal_as_it_was(string name, int number)
    {
        using var program = new TerminalProgram("wait");

        program.Signal(name);

        Assert.Equal(128 + number, program.Wait());
        Assert.True(program.IsCooked);
    }

    [Theory]
    [InlineData("exit", 3), InlineData("return", 4)]
    public void An_orderly_end_delivers_the_last_words_and_leaves_the_terminal_as_it_was(string way, int code)
    {
        using var program = new TerminalProgram(way);
        program.Type("go");

        program.See("last words");

        Assert.Equal(code, program.Wait());
        Assert.True(program.IsCooked);
    }

    [Fact]
    public void An_unhandled_exception_leaves_the_terminal_as_it_was()
    {
        using var program = new TerminalProgram("throw");
        program.Type("go");

        Assert.Equal(128 + 6, program.Wait());
        Assert.True(program.IsCooked);
    }

    [Fact]
    public void The_users_own_end_leaves_the_terminal_as_it_was()
    {
        using var program = new TerminalProgram("wait");

        program.Type("\u0001x");

        Assert.Equal(7, program.Wait());
        Assert.True(program.IsCooked);
    }

    [Theory]
    [InlineData("TSTP", true), InlineData("STOP", false)]
    public void A_stopped_process_takes_the_terminal_again_when_it_goes_on(string stop, bool restores)
    {
        using var program = new TerminalProgram("wait");
        program.Signal(stop);
        Waiting.Until(() => program.IsStopped);
        Assert.Equal(restores, program.IsCooked);

        program.Signal("CONT");

        Waiting.Until(() => program.IsRaw);
        program.Type("abc");
        program.See("[abc]");
        program.Signal("TERM");
        program.Wait();
        Assert.True(program.IsCooked);
    }
}
