// Sockets between programs in the guest and on the host. The guest's program is the host's socat, by a shared folder.
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class VsockTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-vsock-").FullName;

    public static TheoryData<string> OneOfEachMachine => GuestConfiguration.OneOfEachMachine;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
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
            spec => spec.With(new VsockDevice { Cid = 5, Path = path }, new ShareDevice { Path = Path.Combine(_folder, "bin"), Tag = "bin", ReadOnly = true }));
        await guest.DoAsync($"mount -t virtiofs bin /mnt && {{ {HostProgram.At("/mnt", "socat")} VSOCK-LISTEN:52,fork EXEC:sha256sum & }}");

        // The guest connects, and is sent a file.
        var accepting = listener.AcceptAsync(TestContext.Current.CancellationToken);
        await guest.TypeAsync($"{HostProgram.At("/mnt", "socat")} -u VSOCK-CONNECT:2:77 - | sha256sum");
        using (var client = await accepting) await client.SendAsync(content, TestContext.Current.CancellationToken);
        await guest.WaitAsync(hash);

        // The host connects, sends the file, and is answered when it has ended.
        using var program = await VsockClient.ConnectAsync(path, 52);
        await program.SendAsync(content, TestContext.Current.CancellationToken);
        program.Shutdown(SocketShutdown.Send);
        Assert.StartsWith($"{hash} ", await ReadAllAsync(program), StringComparison.Ordinal);

        var refused = await guest.AskAsync($"{HostProgram.At("/mnt", "socat")} - VSOCK-CONNECT:2:78 </dev/null");
        Assert.Contains("Connection reset", refused.Output, StringComparison.Ordinal);
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));
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
