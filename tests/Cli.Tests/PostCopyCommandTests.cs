// A machine whose guest writes faster than the link carries goes to another store before all of its memory is there (lamina migrate --post-copy), by the real program over a slow link; and what becomes of it
// where that link is cut by then.
using System.Net.Sockets;
using Lamina.Host;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class PostCopyCommandTests : TwoStores
{
    private const int BytesPerSecond = 12 << 20;

    // It copies what it knows the sum of, over and over, and looks at each copy.
    private const string Load = "dd if=/dev/urandom of=/tmp/a bs=1M count=16 2>/dev/null; md5sum </tmp/a >/tmp/sum; (while :; do cp /tmp/a /tmp/b; cmp /tmp/a /tmp/b || touch /tmp/wrong; echo >>/tmp/times; done) >/dev/null 2>&1 & echo $! >/tmp/pid";

    private const string Look = "kill $(cat /tmp/pid); md5sum </tmp/a | cmp - /tmp/sum && [ ! -e /tmp/wrong ] && echo as it was";

    [Fact]
    public async Task A_guest_that_writes_faster_than_the_link_carries_goes_on_there_and_finds_all_of_its_memory()
    {
        SkipWithout();
        await StartTinyWithDiskAsync("web");
        try
        {
            Assert.Equal("", await InAsync(RunAsync, "web", Load));
            var socket = Folder.File("in");
            using var link = new SlowLink(Folder.File("slow"), socket, () => false);
            using (await ReceiveAsync(socket))
            {
                var went = await RunAsync("migrate", "--post-copy", "-v", "web", $"unix:{Folder.File("slow")}");
                Assert.True(went.ExitCode == 0, went.Errors);
                Assert.Contains("of its memory followed in", went.Errors, StringComparison.Ordinal);
                TestContext.Current.TestOutputHelper?.WriteLine(went.Errors);
            }
            Assert.Equal("as it was", await InAsync(RunThereAsync, "web", Look));
            Assert.Equal("gone", await StateAsync("web"));
            Assert.Contains("all of its memory is here", await File.ReadAllTextAsync(Path.Combine(ThereHome("web"), "run", "log"), Token), StringComparison.Ordinal);
        }
        finally
        {
            await ClearThereAsync();
        }
    }

    [Fact]
    public async Task A_link_that_is_cut_by_then_ends_it_there_in_a_sentence_and_it_begins_anew_with_its_disk()
    {
        SkipWithout();
        await StartTinyWithDiskAsync("web");
        try
        {
            Assert.Equal("", await InAsync(RunAsync, "web", "echo on the disk | dd of=/dev/vda bs=4k conv=notrunc 2>/dev/null; sync; " + Load));
            var socket = Folder.File("in");
            using var link = new SlowLink(Folder.File("slow"), socket, () => File.Exists(Path.Combine(ThereHome("web"), "run", "run.json")));
            using (await ReceiveAsync(socket))
            {
                var went = await RunAsync("migrate", "--post-copy", "web", $"unix:{Folder.File("slow")}");
                Assert.Equal(1, went.ExitCode);
                // Whether the other side's word that it runs was cut with the rest is as it comes.
                Assert.Matches("the machine web (ran at unix:.*, and the link broke before all of its memory was there: it has ended there, and 'lamina start --cold' there begins anew|was given to unix:.*, and the link broke before that side said that it runs)", went.Errors);
            }
            var waited = await RunThereAsync("wait", "web");
            Assert.Matches("the machine cannot go on: [0-9]+ pages of its memory have not come \\(.*\\), and where it came from it has ended; 'lamina start --cold web' begins anew with its disk, on which nothing is lost that was written", waited.Errors);
            Assert.Equal("gone", await StateAsync("web"));
            Expect(0, await RunThereAsync("start", "--cold", "web"));
            Assert.Equal("on the disk", await InAsync(RunThereAsync, "web", "head -n1 /dev/vda"));
        }
        finally
        {
            await ClearThereAsync();
        }
    }

    private static void SkipWithout()
    {
        using var faults = PageFaults.TryOpen(out var refusal);
        Assert.SkipWhen(faults is null, refusal);
    }

    // A socket that leads to another one, and carries so much.
    private sealed class SlowLink : IDisposable
    {
        private static readonly TimeSpan Lingers = TimeSpan.FromSeconds(2);

        private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        private readonly CancellationTokenSource _ends = new();

        internal SlowLink(string path, string to, Func<bool> isCut)
        {
            _listener.Bind(new UnixDomainSocketEndPoint(path));
            _listener.Listen();
            _ = Task.Run(async () =>
            {
                using var from = await _listener.AcceptAsync(_ends.Token);
                using var other = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await other.ConnectAsync(new UnixDomainSocketEndPoint(to), _ends.Token);
                Task[] ways = [CarryAsync(from, other, isCut), CarryAsync(other, from, isCut)];
                await Task.WhenAny(ways);
                // What was said before one end went arrives at the other one.
                await Task.WhenAny(Task.WhenAll(ways), Task.Delay(Lingers, _ends.Token));
            });
        }

        public void Dispose()
        {
            _ends.Cancel();
            _listener.Dispose();
            _ends.Dispose();
        }

        private async Task CarryAsync(Socket from, Socket to, Func<bool> isCut)
        {
            var buffer = new byte[64 << 10];
            try
            {
                while (await from.ReceiveAsync(buffer, _ends.Token) is var count and > 0 && !isCut())
                {
                    for (var sent = 0; sent < count;) sent += await to.SendAsync(buffer.AsMemory(sent, count - sent), _ends.Token);
                    await Task.Delay(TimeSpan.FromSeconds((double)count / BytesPerSecond), _ends.Token);
                }
            }
            catch (Exception gone) when (gone is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // Either end.
            }
        }
    }
}
