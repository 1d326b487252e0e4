// Keys that a user presses at a machine's keyboard, through the real program.
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class InputCommandTests : KeptMachines
{
    [Fact]
    public async Task A_machine_without_a_keyboard_says_which_has_one()
    {
        await CreateAsync("web", Guest.Halts);
        Expect(0, await RunAsync("start", "web"));

        Expect(2, await RunAsync("send-key", "web", "ctrl-alt-del"), "lamina: the machine has no keyboard; one of the kind pc has");
        Expect(2, await RunAsync("type", "web", "text"), "lamina: the machine has no keyboard; one of the kind pc has");
    }

    [Fact]
    public async Task What_is_typed_is_read_by_the_guest()
    {
        await StartTinyAsync("pc", "--machine", "pc");
        Expect(0, await RunAsync("exec", "--wait", "2m", "pc", "--", "sh", "-c", "(head -n 2 /dev/tty1 >/tmp/typed; mv /tmp/typed /tmp/read) >/dev/null 2>&1 &"));

        Expect(0, await RunAsync("type", "pc", "--enter", "Tea @ {5}"));
        Expect(0, await RunAsync("send-key", "pc", "shift-o", "k", "enter", "--pace", "1ms"));

        var read = await RunAsync("exec", "pc", "--", "sh", "-c", "until [ -f /tmp/read ]; do sleep 0.1; done; cat /tmp/read");
        Assert.Equal("Tea @ {5}\nOk\n", read.Output);
        Expect(0, await RunAsync("kill", "pc"));
    }
}
