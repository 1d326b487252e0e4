// Sockets between programs in the guest and on the host. The guest's program is the host's socat, by a shared folder.
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Lamina.Tests.Support;
using Xunit;

namespace Lamina.Tests.Linux;

public sealed class VsockTests : IDisposable
{
    private const string InGuest = "/mnt/ld --library-path /mnt /mnt/socat";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-vsock-").FullName;

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task Either_side_connects_to_the_other(string configuration)
    {
        Assert.SkipUnless(HostProgram.TryCopy("socat", Path.Combine(_folder, "bin")), "socat is not installed on this host");
        var path = Path.Combine(_folder, "vsock");
        var content = RandomNumberGenerator.GetBytes(3_000_000);
        var hash = Convert.ToHexStringLower(SHA256.HashData(content));
        using var listener = NewSocket();
        listener.Bind(new UnixDomainSocketEndPoint($"{path}_77"));
        listener.Listen();
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration),
            spec => spec with { Vsock = new VsockSpec(5, path), Shares = [new ShareSpec(Path.Combine(_folder, "bin"), "bin", ReadOnly: true)] });
        await guest.DoAsync($"mount -t virtiofs bin /mnt && {{ {InGuest} VSOCK-LISTEN:52,fork EXEC:sha256sum & }}");

        // The guest connects, and is sent a file.
        var accepting = listener.AcceptAsync(TestContext.Current.CancellationToken);
        await guest.TypeAsync($"{InGuest} -u VSOCK-CONNECT:2:77 - | sha256sum");
        using (var client = await accepting) await client.SendAsync(content, TestContext.Current.CancellationToken);
        await guest.WaitAsync(hash);

        // The host connects, sends the file, and is answered when it has ended.
        using var program = await ConnectAsync(path, 52);
        await program.SendAsync(content, TestContext.Current.CancellationToken);
        program.Shutdown(SocketShutdown.Send);
        Assert.StartsWith($"{hash} ", await ReadAllAsync(program), StringComparison.Ordinal);

        var refused = await guest.AskAsync($"{InGuest} - VSOCK-CONNECT:2:78 </dev/null");
        Assert.Contains("Connection reset", refused.Output, StringComparison.Ordinal);
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
    }

    // The guest's program may not listen yet: until it does, the connection is closed without an answer.
    private static async Task<Socket> ConnectAsync(string path, int port)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var program = NewSocket();
            await program.ConnectAsync(new UnixDomainSocketEndPoint(path), TestContext.Current.CancellationToken);
            await program.SendAsync(Encoding.ASCII.GetBytes($"CONNECT {port}\n"), TestContext.Current.CancellationToken);
            var answer = await ReadLineAsync(program);
            if (answer.Length != 0)
            {
                Assert.Matches("^OK [0-9]+\n$", answer);
                return program;
            }
            program.Dispose();
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromMinutes(1), "nobody in the guest listens");
            await Task.Delay(TimeSpan.FromMilliseconds(100), TestContext.Current.CancellationToken);
        }
    }

    // Empty where the stream ends before.
    private static async Task<string> ReadLineAsync(Socket socket)
    {
        var (line, next) = (new StringBuilder(), new byte[1]);
        try
        {
            while (await socket.ReceiveAsync(next, TestContext.Current.CancellationToken) == 1)
            {
                line.Append((char)next[0]);
                if (next[0] == '\n') return line.ToString();
            }
        }
        catch (SocketException)
        {
        }
        return "";
    }

    private static Socket NewSocket() => new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    private static async Task<string> ReadAllAsync(Socket socket)
    {
        var bytes = new byte[1000];
        var length = 0;
        while (await socket.ReceiveAsync(bytes.AsMemory(length), TestContext.Current.CancellationToken) is var count && count > 0) length += count;
        return Encoding.ASCII.GetString(bytes, 0, length);
    }
}
